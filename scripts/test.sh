#!/bin/bash
# Run all tests in two processes side by side: most of them wait for Spark, a browser or a server more than they work.
# Each test is in one of the two. The output of the second is shown when the first has ended.
set -uo pipefail
cd "$(dirname "$0")/.."
first="(spark or browser) and not elasticsearch"
folder=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null; rm -rf "$folder"' EXIT

# run NAME MARKERS: the tests that the markers select, with a cache of their own.
run() { .venv/bin/python -m pytest -m "$2" -o cache_dir=".pytest_cache/$1" --durations=10; }

run services "not ($first)" >"$folder/services" 2>&1 &
second=$!
run spark "$first"
ended=$?
wait "$second" || ended=$?
cat "$folder/services"
exit "$ended"
