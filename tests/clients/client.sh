#!/bin/sh
# Scores a text with edged and prints the reply. Debian: apt install python3-zmq
#   sh client.sh ipc:///run/edged/edged.sock "Bright cherry, long finish."
/usr/bin/python3 -c 'import sys, zmq; s = zmq.Context().socket(zmq.REQ); s.connect(sys.argv[1]); s.send_json({"text": sys.argv[2]}); print(s.recv_string())' "$1" "$2"
