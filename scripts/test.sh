#!/bin/sh
# scripts/test.sh [--workers N] SUITE... runs the suites tests/SUITE in one pytest, so that one summary tells of all.
#
# A suite whose folder does not exist yet is skipped; a folder without a single test file is an error.  With --workers, the files of
# arch, unit and conformance run side by side, and so do the other suites, each as a whole (tests/conftest.py says why).
set -eu
cd "$(dirname "$0")/.."
parallel=
if [ "${1:-}" = --workers ]; then
    parallel="-n $2 --dist loadgroup --no-loadscope-reorder"
    shift 2
fi
folders=
for suite in "$@"; do
    folder="tests/$suite"
    if [ ! -d "$folder" ]; then
        echo "$folder does not exist yet: skipped"
    elif [ -z "$(find "$folder" -name 'test_*.py' -print -quit)" ]; then
        echo "$folder holds no tests" >&2
        exit 1
    else
        folders="$folders $folder"
    fi
done
if [ -z "$folders" ]; then
    exit 0
fi
# shellcheck disable=SC2086  # Both are lists of words.
exec .venv/bin/python -m pytest $parallel $folders
