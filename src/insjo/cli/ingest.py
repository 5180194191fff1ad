"""`insjo ingest` and `insjo location`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from insjo.cli.checks import settings_of
from insjo.cli.output import print_json, print_table
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


def location_add(words: argparse.Namespace) -> int:
    """Allow a place."""
    from insjo.bootstrap.command import opened

    with opened(settings_of(words).settings, "admin") as (services, ctx):
        made = services.ingest.locations.create(
            ctx, words.name, words.url, words.volume, secret=words.secret, private=words.private, comment=words.comment
        )
    if words.json:
        print_json({"name": made.name, "url": made.url, "volume": made.volume})
    else:
        print(f"Files and tables of `{made.url}` may be fetched into `{made.volume}`.")
    return 0


def location_list(words: argparse.Namespace) -> int:
    """List the places that are allowed."""
    from insjo.bootstrap.command import opened

    with opened(settings_of(words).settings, "admin") as (services, ctx):
        found = services.ingest.locations.list(ctx)
    if words.json:
        print_json([{"name": each.name, "url": each.url, "volume": each.volume, "private": each.private} for each in found])
    else:
        print_table(["name", "url", "volume"], [(each.name, each.url, each.volume) for each in found])
    return 0


def location_remove(words: argparse.Namespace) -> int:
    """Allow a place no longer."""
    from insjo.bootstrap.command import opened

    with opened(settings_of(words).settings, "admin") as (services, ctx):
        services.ingest.locations.delete(ctx, words.name)
    if words.json:
        print_json({"name": words.name, "removed": True})
    else:
        print(f"Nothing is fetched from `{words.name}` any more.")
    return 0


def _pairs(given: list[str], flag: str) -> dict[str, str]:
    """`name=value` words."""
    for each in given:
        if "=" not in each:
            message = f"`{flag} {each}` lacks a value."
            raise InvalidArgument(message, hint=f"Write `{flag} name=value`.")
    return dict(each.split("=", 1) for each in given)
