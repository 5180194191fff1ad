#!/bin/sh
# scripts/bench.sh [PART [FLAG...]] runs every benchmarks/bench_*.py, one after the other since two at a time would measure each other,
# or benchmarks/bench_PART.py alone with these flags.
set -eu
cd "$(dirname "$0")/.."
if [ $# -gt 0 ]; then
    part=$1
    shift
    script="benchmarks/bench_$part.py"
    if [ ! -e "$script" ]; then
        echo "There is no $script yet; there are: $(ls benchmarks/bench_*.py | tr '\n' ' ')" >&2
        exit 1
    fi
    exec .venv/bin/python "$script" "$@"
fi
for script in benchmarks/bench_*.py; do
    echo "== $script"
    .venv/bin/python "$script"
done
