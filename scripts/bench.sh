#!/bin/sh
# Runs every benchmarks/bench_*.py, one after the other: two at a time would measure each other.
set -eu
cd "$(dirname "$0")/.."
found=
for script in benchmarks/bench_*.py; do
    [ -e "$script" ] || continue
    found=yes
    echo "== $script"
    .venv/bin/python "$script"
done
[ -n "$found" ] || echo "No benchmarks/bench_*.py yet."
