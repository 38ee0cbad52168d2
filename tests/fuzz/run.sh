#!/usr/bin/env bash
# Builds every fuzzer and runs each for a bounded time over its corpus, two at a time (JOBS). Prints `ok NAME` or `FAIL NAME` and closes with
# `N passed, N failed`. Inputs that are new stay in build/fuzz/corpus/NAME, what failed in build/fuzz/found/NAME.
#
# usage: tests/fuzz/run.sh [short|SECONDS] [NAME...]      default: short, which is 10 s each
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
[ "${1:-short}" = short ] && seconds=10 || seconds=$1
case $seconds in '' | *[!0-9]* | 0) echo "tests/fuzz/run.sh: not a number of seconds: $seconds" >&2; exit 2 ;; esac
[ $# -gt 0 ] && shift

# one NAME: prints its line, fails as it does
one() {
	local name=$1 kept=build/fuzz/corpus/$1 found=build/fuzz/found/$1 log=build/fuzz/fuzz_$1.log
	mkdir -p "$kept" "$found"
	# the tool's own limits first; the outer one is for a fuzzer that does not keep to them
	if timeout $((seconds + 120)) "build/fuzz/tests/fuzz/fuzz_$name" -max_total_time="$seconds" -timeout=20 \
		-rss_limit_mb=2048 -max_len=70000 -len_control=20 -print_final_stats=1 -artifact_prefix="$found/" \
		"$kept" "tests/fuzz/corpus/$name" >"$log" 2>&1; then
		echo "ok $name ($(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs)"
	else
		tail -n 40 "$log"
		echo "FAIL $name"
		return 1
	fi
}

if ! ./scripts/build fuzz; then
	echo "FAIL build"
	echo "0 passed, 1 failed"
	exit 1
fi
if [ $# -eq 0 ]; then
	for source in tests/fuzz/fuzz_*.c; do
		source=${source##*/fuzz_}
		set -- "$@" "${source%.c}"
	done
fi
pids=() passed=0 failed=0
for name in "$@"; do
	while [ "$(jobs -rp | wc -l)" -ge "${JOBS:-2}" ]; do
		wait -n
	done
	one "$name" &
	pids+=($!)
done
for pid in "${pids[@]}"; do
	if wait "$pid"; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ] && [ $passed -gt 0 ]
