#!/bin/sh
# scripts/test.sh [--workers N] [--fast] SUITE... runs the suites tests/SUITE in one pytest, so that one summary tells of all.
#
# A suite whose folder does not exist yet is skipped; a folder without a single test file is an error.  With --workers, files run side
# by side and the tests of a file one after the other, since some build on what the one before them did.  Suites with a browser come
# last: Playwright's synchronous form leaves a running event loop in its process.  With --fast, files that are marked slow are left out.
set -eu
cd "$(dirname "$0")/.."
parallel=
if [ "${1:-}" = --workers ]; then
    parallel="-n $2 --dist loadfile --no-loadscope-reorder"
    shift 2
fi
fast=
if [ "${1:-}" = --fast ]; then
    fast="not slow"
    shift
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
exec .venv/bin/python -m pytest $parallel -m "$fast" $folders
