"""Pages when there is nothing, when something is wrong, and when texts are long: all said, nothing cut off or too wide."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.test_catalog_pages import must
from tests.browser.test_journeys import sign_in
from tests.browser.test_sql_page import write
from tests.support.browser import visit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from tests.support.server import RunningServer

LONG = "a name that goes on and on "


def fits(page: Page) -> None:
    """No page is wider than its window, and no row of tabs is cut off."""
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth + 1"), page.url
    cut = "[...document.querySelectorAll('.tabs')].filter((one) => one.scrollHeight > one.clientHeight + 2).length"
    assert page.evaluate(cut) == 0, page.url


@pytest.mark.parametrize(("scheme", "width"), [("light", 1360), ("dark", 390)])
def test_nothing_wrong_and_long(
    demo_server: RunningServer, browser: Browser, link_for: Callable[[str], str], tmp_path: Path, scheme: str, width: int
) -> None:
    broken, long = tmp_path / f"broken-{width}.parquet", tmp_path / f"{LONG * 3}{width}.csv"
    broken.write_bytes(b"PAR1 nothing here")
    long.write_text(f"id;{LONG * 2}\n" + "".join(f"{row};{LONG * 9}\n" for row in range(30)), encoding="utf-8")
    with visit(browser, demo_server.url, scheme=scheme, width=width) as (page, complaints):
        complaints.expected_statuses.update({400, 404})
        sign_in(page, link_for("steward"))
        page.goto("/catalog/samples/hr/nothing")
        expect(page.get_by_role("alert")).to_contain_text("The table or view samples.hr.nothing does not exist.")
        fits(page)
        must(page, f"CREATE OR REPLACE TABLE main.default.alone_{width} AS SELECT 1 AS id")  # Others read the samples, which is lineage.
        for tab, said in (("history", "CREATE"), ("lineage", "Nothing is known yet"), ("permissions", "Who may what")):
            page.goto(f"/catalog/main/default/alone_{width}?tab={tab}")
            expect(page.get_by_text(said).first).to_be_visible()
            fits(page)
        page.goto("/sql")
        write(page, f"SELECT repeat('{LONG}', 300) AS `{LONG.strip()}`, id FROM range(3) WHERE id < 0")
        page.locator("[data-run]").click()
        expect(page.locator("[data-status]")).to_contain_text("0 rows")
        fits(page)
        write(page, f"SELECT `{LONG * 4}` FROM samples.hr.salaries")
        page.locator("[data-run]").click()
        expect(page.locator("[data-error]")).to_contain_text("There is no column")
        fits(page)
        for path in (broken, long):
            page.goto("/ingest")
            page.get_by_role("button", name="Use this schema").click()
            page.locator("input[type=file]").first.set_input_files(str(path))
            expect(page.get_by_role("heading", name="Preview")).to_be_visible()
            expect(page.get_by_text("is not a Parquet file" if path is broken else "First rows and types")).to_be_visible()
            fits(page)
            expect(page.get_by_label("Format")).to_have_value("parquet" if path is broken else "csv")
