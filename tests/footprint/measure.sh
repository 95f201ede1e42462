#!/bin/bash
# Measures one host's memory: measure.sh HOST BINARY LOAD REVIEWS.jsonl FOLDER
#
# PSS divides shared pages by their users, so a second process that maps Python, numpy, TFLite or libzmq makes ours look
# smaller than it is on a board. Here the daemon runs on private copies of its libraries, the load generator is static and
# the readings are the shell's; what other processes share nevertheless (libc, mainly) is RSS - PSS, and more than MOST_SHARED
# of it is refused. Leaves in FOLDER: the readings HOST.tsv (reading, then bytes of pss, uss, rss, file), the daemon's own
# account HOST.json and, under load, HOST.hot.json.
set -euo pipefail
host=$1 binary=$2 load=$3 reviews=$4 folder=$5
socket=$(mktemp -d /tmp/edged.XXXXXX)
daemon=
. "$(dirname "$0")/private.sh"
MOST_SHARED=$((2500 * 1024))

# The bounds are of two cores, or of one: Go and the C library take memory for each that there is.
cores=$(for range in $(sed -n 's/^Cpus_allowed_list:\t//p' /proc/self/status | tr , ' '); do
	seq "${range%-*}" "${range#*-}"
done | sed -n 1,2p | paste -sd,)

end() {
	[ -z "$daemon" ] || kill "$daemon" 2>/dev/null || true
	rm -rf "$socket"
}
trap end EXIT

start() {
	rm -f "$socket/s"
	taskset -c "$cores" "$binary" --embed "$host" ${libpython:+--libpython "$libpython"} --endpoints "ipc://$socket/s" --log-format json --stats-interval 1s 2>"$folder/$host.log" &
	daemon=$!
}

stop() {
	kill "$daemon"
	wait "$daemon" || { echo "footprint: edged ended with $?:" >&2; tail -3 "$folder/$host.log" >&2; exit 1; }
	daemon=
}

ask() { "$load" -q "$1" "$socket/s" 2>/dev/null; }

first_answer() {
	local began
	began=$(date +%s%N)
	start
	until ask '{"text":"A fine wine."}' | grep -q label; do
		kill -0 "$daemon" 2>/dev/null || { cat "$folder/$host.log" >&2; exit 1; }
		sleep 0.002
	done
	echo $((($(date +%s%N) - began) / 1000))
}

# reading NAME: one row of the table, in bytes.
reading() {
	awk -v name="$1" '
		/^(Rss|Pss|Private_Clean|Private_Dirty|Anonymous):/ { kib[$1] = $2 }
		END {
			printf "%s\t%d\t%d\t%d\t%d\n", name, 1024 * kib["Pss:"], 1024 * (kib["Private_Clean:"] + kib["Private_Dirty:"]),
				1024 * kib["Rss:"], 1024 * (kib["Rss:"] - kib["Anonymous:"])
		}' "/proc/$daemon/smaps_rollup"
}

# at_rest NAME: the least of ten readings, a second each, from the fourth second on: after two seconds of quiet, by its own
# clock, the daemon gives back what it needed, and the machine may stand still meanwhile.
at_rest() {
	sleep 3
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		sleep 1
		reading "$1"
	done | sort -n -k 2 | sed -n 1p
}

rm -f "$folder/$host".*
for _ in 1 2 3 4 5; do
	first_answer >>"$folder/$host.start_us"
	stop
done
private_libraries "$host" "$binary" "$folder/$host.log" "$socket"
start
until grep -q '"event":"ready"' "$folder/$host.log"; do sleep 0.05; done
at_rest idle >>"$folder/$host.tsv"
[ "$(awk '/ r-xp .*\/libpython/ { print $5 }' "/proc/$daemon/maps" | sort -u | wc -l)" = 1 ] || { echo "footprint: $host maps more than one libpython" >&2; exit 75; }
"$load" -n 100000 "$socket/s" "$reviews" >"$folder/$host.load"
reading load >>"$folder/$host.tsv"
ask '{"op":"stats"}' >"$folder/$host.hot.json"
at_rest after >>"$folder/$host.tsv"
ask '{"op":"stats"}' >"$folder/$host.json"
stop
awk -v most="$MOST_SHARED" -v host="$host" '
	$4 - $2 > most {
		printf "footprint: %s, %s: %d bytes of RSS are shared with other processes, at most %d may be: a neighbour maps the same libraries, end it\n", host, $1, $4 - $2, most
		shared = 1
	}
	END { exit shared ? 75 : 0 }' "$folder/$host.tsv" >&2
