"""`insjo serve`, `insjo demo` and `insjo ca export`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from insjo.cli.checks import settings_of
from insjo.cli.output import print_json

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


def ca_export(words: argparse.Namespace) -> int:
    """Print the certificate of the authority; it is made if this is the first to ask for it."""
    from insjo.bootstrap.tls import certificates

    found = certificates(settings_of(words).settings)
    if words.out:
        Path(words.out).write_text(found.authority, encoding="ascii")
    if words.json:
        told = {"certificate": found.authority, "path": str(found.authority_path), "fingerprint_sha256": found.fingerprint}
        print_json({**told, "not_after": found.authority_ends.isoformat(), "names": list(found.names)})
    elif words.out:
        print(f"The certificate is in `{words.out}`. SHA-256: {found.fingerprint}")
    else:
        print(found.authority, end="")
    return 0


def _progress(text: str) -> None:
    """What the start is busy with; on standard error, so that `--json` stays one document a line."""
    print(f"  {text}", file=sys.stderr, flush=True)


def _announce_json(started: Started) -> None:
    """One line for programs."""
    links = [{"user": link.user, "role": link.role, "url": link.url} for link in started.links]
    print(json.dumps({"url": started.url, "tls_url": started.tls_url, "signin_links": links}), flush=True)


def _announce(started: Started) -> None:
    """A few lines for people."""
    lines = ["", f"  Insjö is ready:  {started.url}"]
    if started.tls_url:
        lines.append(f"  For drivers:     {started.tls_url}   (`insjo ca export` prints the certificate to trust)")
    lines.append("")
    if started.links:
        lines.append("  Sign in with one of these links; each works once:")
        width = max(len(link.user) for link in started.links)
        lines += [f"    {link.user.ljust(width)}  {link.url}   {link.role}".rstrip() for link in started.links]
        lines.append("")
    lines += ["  Ctrl+C stops it.", ""]
    print("\n".join(lines), flush=True)
