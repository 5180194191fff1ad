"""Take the pictures of README and documentation anew: `.venv/bin/python scripts/screenshots.py` (needs Chromium; fonts-inter is best)."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.support.browser import chromium, visit
from tests.support.server import RunningServer

if TYPE_CHECKING:
    from playwright.sync_api import Page

IMAGES = Path(__file__).parent.parent / "docs" / "images"
MODEL_MS = 180_000
QUERY = (
    "SELECT a.name AS airline, count(*) AS flights,\n       round(avg(f.dep_delay), 1) AS mean_delay_minutes\n"
    "FROM samples.nyc.flights f\nJOIN samples.nyc.airlines a ON f.carrier = a.carrier\nGROUP BY a.name\nORDER BY flights DESC"
)


def main() -> None:
    """Start a demo, walk through its pages, keep a picture of each."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, RunningServer(Path(folder) / "data", verb="demo") as server, chromium() as browser:
        made = server.insjo("user", "link", "steward", "--json", "--data", str(server.data_dir))
        with visit(browser, server.url, height=820) as (page, _):
            page.goto(json.loads(made.stdout)["signin_link"])
            _walk(page)
        dark = server.insjo("user", "link", "steward", "--json", "--data", str(server.data_dir))
        with visit(browser, server.url, scheme="dark", height=820) as (page, _):
            page.goto(json.loads(dark.stdout)["signin_link"])
            _keep(page, "home-dark")


def _walk(page: Page) -> None:
    """Each page once."""
    page.goto("/knowledge/samples.docs.manual_index")
    page.get_by_text("passages ·").wait_for(timeout=MODEL_MS)
    page.goto("/sql")
    page.locator("insjo-sql-editor .cm-content").click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(QUERY)
    page.keyboard.press("Escape")
    page.locator("[data-run]").click()
    page.locator("insjo-grid [role=gridcell]").first.wait_for()
    _keep(page, "sql")
    page.goto("/catalog/samples/nyc/flights")
    _keep(page, "catalog")
    page.goto("/catalog/samples/nyc/flights?tab=statistics")
    page.locator(".histogram").first.wait_for()
    _keep(page, "statistics")
    page.goto("/chat?index=samples.docs.manual_index")
    page.locator("insjo-chat textarea").fill("How do I share a table?")
    page.keyboard.press("Enter")
    page.locator(".bubble .source").first.wait_for(timeout=MODEL_MS)
    page.locator("insjo-chat [data-stop]").wait_for(state="hidden", timeout=MODEL_MS)
    _keep(page, "chat")
    page.goto("/apps/samples.nyc.flight_desk")
    page.locator("insjo-chat textarea").fill("What was the average arrival delay per carrier?")
    page.keyboard.press("Enter")
    page.locator(".bubble:not(.bubble--person) table").first.wait_for(timeout=MODEL_MS)
    _keep(page, "app")
    page.goto("/admin/policies")
    _keep(page, "policies")
    page.goto("/")
    _keep(page, "home")


def _keep(page: Page, name: str) -> None:
    """One picture, after what moves has come to rest."""
    page.wait_for_timeout(600)
    page.screenshot(path=str(IMAGES / f"{name}.png"))


if __name__ == "__main__":
    main()
