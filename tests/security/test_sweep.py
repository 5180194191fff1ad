"""Every route of every door: without a credential, with somebody else's, and by somebody who holds no right.

The table of who may call what is the snapshot `routes.txt`, which people read in review.  It is written anew by
`INSJO_WRITE_SNAPSHOT=1`, never by hand.
"""

from __future__ import annotations

import os
from pathlib import Path

from insjo.web.app import ROUTES
from insjo.web.openai.door import ROUTES as MODEL_ROUTES

SNAPSHOT = Path(__file__).parent / "routes.txt"


def _lines() -> list[str]:
    declared = {f"{each.needs:<7} {each.door:<11} {each.method:<7} {each.path}" for each in ROUTES}
    return sorted(declared | {f"{'user':<7} {'openai':<11} {each.method:<7} {each.path}" for each in MODEL_ROUTES})


def test_the_table_of_routes_is_the_one_that_people_have_read() -> None:
    text = "\n".join(_lines()) + "\n"
    if os.environ.get("INSJO_WRITE_SNAPSHOT"):
        SNAPSHOT.write_text(text, encoding="utf-8")
    assert text == SNAPSHOT.read_text(encoding="utf-8"), (
        "a route was added, removed or opened: read the difference, then write the snapshot"
    )


def test_no_two_routes_share_method_and_path() -> None:
    pairs = [(each.method, each.path) for each in ROUTES]
    assert len(pairs) == len(set(pairs))


def test_only_these_routes_are_open_to_everybody() -> None:
    open_paths = {each.path for each in ROUTES if each.needs == "nobody"}
    assert open_paths == {
        "/.well-known/databricks-config",
        "/oidc/.well-known/oauth-authorization-server",
        "/oidc/v1/token",
        "/api/2.0/fs/upload-parts/{session}/{number}",
        "/api/2.0/fs/signed-files/{path:path}",
        "/sign-in",
        "/sign-in/{secret}",
        "/ui/language",
        "/api/2.0/sql/results/{statement_id}/{chunk_index}",
    }
