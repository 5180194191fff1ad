#!/bin/sh
# Writes the lock files anew from pyproject.toml.  Run it after a change of the dependencies; `scripts/lock.sh --upgrade` takes
# newer versions.  No address of an index may enter the files: tests/arch/test_repository.py looks.
set -eu
cd "$(dirname "$0")/.."
compile() {
    .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
        --custom-compile-command scripts/lock.sh "$@" >/dev/null
}
compile "$@" --extra postgres -o requirements.lock pyproject.toml
compile "$@" --extra dev -c requirements.lock -o requirements-dev.lock pyproject.toml
compile "$@" --no-deps -o requirements-models.lock scripts/models.in
