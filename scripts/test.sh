#!/bin/bash
# Run all tests in two parallel processes, because most tests wait for Spark, a browser or a server.
# Each test runs in one of the two. The output of the second process is shown after the first has ended.
set -uo pipefail
cd "$(dirname "$0")/.."
first="(spark or browser) and not elasticsearch"
folder=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null; rm -rf "$folder"' EXIT

# run NAME MARKERS: run the tests that the markers select, with a separate pytest cache.
run() { .venv/bin/python -m pytest -m "$2" -o cache_dir=".pytest_cache/$1" --durations=10; }

run services "not ($first)" >"$folder/services" 2>&1 &
second=$!
run spark "$first"
ended=$?
wait "$second" || ended=$?
cat "$folder/services"
exit "$ended"
