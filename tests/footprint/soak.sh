#!/bin/bash
# Watches one daemon's memory over many reviews: soak.sh HOST BINARY LOAD REVIEWS.jsonl FILE SLICES REVIEWS_A_SLICE
#
# Reviews of random lengths, one request in a hundred malformed, four clients. After each slice and a pause in which the
# daemon gives back what the burst needed, FILE gets a line: reviews so far, bytes of PSS; FILE with the ending jsonl, the
# daemon's own account. It runs on private copies of its libraries, so that neighbours that come and go change nothing.
set -euo pipefail
host=$1 binary=$2 load=$3 reviews=$4 file=$5 slices=$6 slice=$7
folder=$(mktemp -d /tmp/edged.XXXXXX)
daemon=
trap '[ -z "$daemon" ] || kill $daemon 2>/dev/null || true; rm -rf "$folder"' EXIT
. "$(dirname "$0")/private.sh"

start() {
	: >"$folder/log"
	"$binary" --embed "$host" ${libpython:+--libpython "$libpython"} --endpoints "ipc://$folder/s" --log-format json --stats-interval 1s 2>"$folder/log" &
	daemon=$!
	until grep -q '"event":"ready"' "$folder/log"; do
		kill -0 $daemon 2>/dev/null || { cat "$folder/log" >&2; exit 1; }
		sleep 0.05
	done
}

stop() {
	kill $daemon
	wait $daemon || { echo "soak: edged ended with $?" >&2; tail -3 "$folder/log" >&2; exit 1; }
	daemon=
}

# at_rest: the least PSS within 5 s, in bytes: after 2 s of quiet the daemon gives back what the burst needed.
at_rest() {
	for _ in 1 2 3 4 5; do
		sleep 1
		awk '/^Pss:/ { print 1024 * $2 }' /proc/$daemon/smaps_rollup
	done | sort -n | head -1
}

start # to learn which libraries it takes
stop
private_libraries "$host" "$binary" "$folder/log" "$folder"
start
: >"$file"
: >"${file%.tsv}.jsonl"
for i in $(seq "$slices"); do
	"$load" -n "$slice" -c 4 -w 16 -r -m 10 -s "$i" "$folder/s" "$reviews" >"$folder/load" || { cat "$folder/load" >&2; exit 1; }
	printf '%d\t%d\n' $((i * slice)) "$(at_rest)" >>"$file"
	"$load" -q '{"op":"stats"}' "$folder/s" >>"${file%.tsv}.jsonl"
	[ $((i % 10)) -ne 0 ] || echo "soak: $((i * slice)) reviews, PSS $(tail -1 "$file" | cut -f2) bytes"
done
stop
