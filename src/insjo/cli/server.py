"""`insjo serve` and `insjo demo`."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from insjo.cli.checks import settings_of

if TYPE_CHECKING:
    import argparse

    from insjo.bootstrap.server import Started


def serve(words: argparse.Namespace) -> int:
    """Run the server until a signal ends it."""
    from insjo.bootstrap.server import run

    with_demo = words.command == "demo" or bool(getattr(words, "demo", False))
    announce = _announce_json if words.json else _announce
    run(settings_of(words).settings, with_demo=with_demo, announce=announce, progress=_progress)
    return 0


def _progress(text: str) -> None:
    """What the start is busy with; on standard error, so that `--json` stays one document a line."""
    print(f"  {text}", file=sys.stderr, flush=True)


def _announce_json(started: Started) -> None:
    """One line for programs."""
    links = [{"user": link.user, "role": link.role, "url": link.url} for link in started.links]
    print(json.dumps({"url": started.url, "signin_links": links}), flush=True)


def _announce(started: Started) -> None:
    """A few lines for people."""
    lines = ["", f"  Insjö is ready:  {started.url}", ""]
    if started.links:
        lines.append("  Sign in with one of these links; each works once:")
        width = max(len(link.user) for link in started.links)
        lines += [f"    {link.user.ljust(width)}  {link.url}   {link.role}".rstrip() for link in started.links]
        lines.append("")
    lines += ["  Ctrl+C stops it.", ""]
    print("\n".join(lines), flush=True)
