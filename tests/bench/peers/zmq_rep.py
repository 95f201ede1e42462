"""The loop of pyzmq's documentation: `python -m tests.bench.peers.zmq_rep ENDPOINT`."""

import json
import sys

import zmq

from edged.baselines.scorer import Scorer
from tests.bench import MODEL


def main() -> None:
    """Serve."""
    score = Scorer(MODEL)
    socket = zmq.Context().socket(zmq.REP)
    socket.bind(sys.argv[1])
    while True:
        request = json.loads(socket.recv())
        (prediction,) = score([request["text"]])
        reply = {"id": request["id"], "label": prediction.label, "score": prediction.score}
        # Compact, as the load generator reads the id at a fixed place.
        socket.send(json.dumps(reply, separators=(",", ":")).encode())


if __name__ == "__main__":
    main()
