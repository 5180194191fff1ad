"""`insjo ingest`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from insjo.cli.checks import settings_of
from insjo.cli.output import print_json
from insjo.kernel.errors import InvalidArgument

if TYPE_CHECKING:
    import argparse

TIMEOUT_S = 24 * 3600.0


def ingest(words: argparse.Namespace) -> int:
    """Load a file into a table with a user's rights."""
    from insjo.bootstrap.command import run_load
    from insjo.ingest.types import LoadSpec, Mode, Source

    spec = LoadSpec(
        source=Source(words.file, words.format or "", _pairs(words.option, "--option"), _pairs(words.type, "--type")),
        target=words.table,
        mode=Mode(words.mode),
        keys=tuple(words.key),
        quarantine=not words.no_quarantine,
        accept_drift=words.accept_drift,
    )
    report = (lambda _: None) if words.json else (lambda text: print(f"  {text}", file=sys.stderr))
    done = run_load(settings_of(words).settings, spec, user=words.user, timeout_s=TIMEOUT_S, report=report)
    if words.json:
        print_json(done)
    else:
        print(f"{done['rows']} rows are in `{done['target']}`.")
        if done.get("quarantine_table"):
            print(f"{done['quarantined']} rows did not fit; they lie in `{done['quarantine_table']}` with line and reason.")
    return 0


def _pairs(given: list[str], flag: str) -> dict[str, str]:
    """`name=value` words."""
    for each in given:
        if "=" not in each:
            message = f"`{flag} {each}` lacks a value."
            raise InvalidArgument(message, hint=f"Write `{flag} name=value`.")
    return dict(each.split("=", 1) for each in given)
