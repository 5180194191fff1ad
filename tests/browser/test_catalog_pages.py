"""The catalog in a real Chromium: tree and search, statistics with histograms, versions compared and restored, lineage, tags, use."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.test_journeys import sign_in
from tests.support.browser import visit

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Browser, Page

    from tests.support.server import RunningServer

RUN = """async (statement) => {
  const sent = {method: "POST", headers: {"content-type": "application/json"}, body: JSON.stringify({statement, wait_timeout: "50s"})};
  return (await (await fetch("/api/2.0/sql/statements", sent)).json()).status;
}"""
TABLE = "main.default.delays"


def must(page: Page, *statements: str) -> None:
    """Run statements as the person of the page."""
    for statement in statements:
        told = page.evaluate(RUN, statement)
        assert told["state"] == "SUCCEEDED", told


def test_the_tree_opens_where_one_is_and_the_search_finds_columns(
    demo_server: RunningServer, browser: Browser, link_for: Callable[[str], str]
) -> None:
    with visit(browser, demo_server.url) as (page, _):
        sign_in(page, link_for("analyst"))
        page.goto("/catalog/samples/nyc/flights")
        tree = page.locator(".explorer__tree")
        expect(tree.locator("[aria-current=page]")).to_have_text("flights")
        expect(tree).not_to_contain_text("hr")
        tree.get_by_role("searchbox").fill("tailnum")
        expect(tree.locator("[data-found]")).to_contain_text("samples.nyc.planes")
        tree.get_by_role("searchbox").fill("salar")
        expect(tree.locator("[data-found]")).to_contain_text("Nothing found")
        tree.get_by_role("searchbox").fill("weather")
        tree.locator("[data-found]").get_by_role("link", name=re.compile("weather")).click()
        expect(page).to_have_url(re.compile("/catalog/samples/nyc/weather"))


def test_statistics_are_those_of_the_rows_that_one_may_see(
    demo_server: RunningServer, browser: Browser, link_for: Callable[[str], str]
) -> None:
    with visit(browser, demo_server.url) as (page, _):
        sign_in(page, link_for("steward"))
        must(
            page,
            "CREATE OR REPLACE TABLE main.default.seen AS SELECT * FROM VALUES (1, 'a', DATE'2024-01-01'), (2, 'a', NULL), "
            "(9, 'b', DATE'2024-03-01') AS t(n, word, day)",
            "GRANT USE CATALOG ON CATALOG main TO `analyst`",
            "GRANT USE SCHEMA ON SCHEMA main.default TO `analyst`",
            "GRANT SELECT ON TABLE main.default.seen TO `analyst`",
        )
        page.goto("/catalog/main/default/seen?tab=statistics")
        expect(page.locator(".histogram")).to_have_count(2)
        expect(page.locator("tr", has_text="word")).to_contain_text("66.7 %")
        expect(page.locator("tr", has_text="day")).to_contain_text("2024-03-01")
        must(
            page,
            "CREATE OR REPLACE FUNCTION main.default.small(n INT) RETURNS BOOLEAN RETURN n < 5",
            "GRANT EXECUTE ON FUNCTION main.default.small TO `analyst`",
            "ALTER TABLE main.default.seen SET ROW FILTER main.default.small ON (n)",
        )
    with visit(browser, demo_server.url) as (page, _):
        sign_in(page, link_for("analyst"))
        page.goto("/catalog/main/default/seen?tab=statistics")
        expect(page.locator("main")).to_contain_text("Of all 2 rows")
        assert "2024-03-01" not in page.locator("main").inner_text()


def test_versions_are_compared_and_the_old_one_comes_back(
    demo_server: RunningServer, browser: Browser, link_for: Callable[[str], str]
) -> None:
    with visit(browser, demo_server.url) as (page, _):
        sign_in(page, link_for("steward"))
        must(
            page,
            f"CREATE OR REPLACE TABLE {TABLE} AS SELECT carrier, count(*) AS n FROM samples.nyc.flights GROUP BY carrier",
            f"DELETE FROM {TABLE} WHERE carrier = 'UA'",
            f"INSERT INTO {TABLE} VALUES ('XX', 3)",
        )
        page.goto("/catalog/main/default/delays?tab=history")
        page.get_by_role("link", name="Compare").nth(1).click()
        expect(page.locator("main")).to_contain_text("58665")
        expect(page.locator("main")).not_to_contain_text("XX")
        page.get_by_role("button", name=re.compile("Restore version")).first.click()
        page.get_by_role("dialog").get_by_role("button", name=re.compile("Restore")).click()
        expect(page.locator("table tbody tr").first).to_contain_text("RESTORE")
        page.goto("/catalog/main/default/delays?tab=sample")
        expect(page.locator("insjo-grid")).to_contain_text("58665")


def test_lineage_tags_and_use_are_shown(demo_server: RunningServer, browser: Browser, link_for: Callable[[str], str]) -> None:
    with visit(browser, demo_server.url) as (page, _):
        sign_in(page, link_for("steward"))
        must(
            page,
            "CREATE OR REPLACE TABLE main.default.pay AS SELECT department, count(*) AS n FROM samples.hr.salaries GROUP BY department",
            "CREATE OR REPLACE VIEW main.default.big_pay AS SELECT * FROM main.default.pay WHERE n > 1",
        )
        page.goto("/catalog/main/default/pay?tab=lineage")
        picture = page.locator(".lineage svg")
        expect(picture).to_contain_text("samples.hr.salaries")
        expect(picture).to_contain_text("main.default.big_pay")
        page.get_by_label("Lineage of").select_option("department")
        expect(picture).to_contain_text("samples.hr.salaries.department")
        page.goto("/catalog/samples/nyc/flights?tab=lineage")
        expect(page.locator("main")).to_contain_text("flight_desk")
        page.goto("/catalog/main/default/pay?tab=label")
        page.get_by_label("Tag", exact=True).fill("owner_team")
        page.get_by_label("Value", exact=False).first.fill("people")
        page.get_by_role("button", name="Set the tag").click()
        expect(page.locator("tr", has_text="owner_team")).to_contain_text("people")
        page.locator("tr", has_text="owner_team").get_by_role("button", name="Remove").click()
        expect(page.locator("tr", has_text="owner_team")).to_have_count(0)
        must(page, "GRANT USE CATALOG ON CATALOG main TO `analyst`", "GRANT USE SCHEMA ON SCHEMA main.default TO `analyst`")
        must(page, "GRANT SELECT ON TABLE main.default.pay TO `analyst`")
    with visit(browser, demo_server.url) as (page, _):
        sign_in(page, link_for("analyst"))
        page.goto("/catalog/main/default/pay?tab=lineage")
        expect(page.get_by_role("heading", level=1)).to_have_text("pay")
        assert "salaries" not in page.content(), "a source that one may not see is not named"


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_the_tabs_open_without_complaint_in_swedish(
    demo_server: RunningServer, browser: Browser, link_for: Callable[[str], str], scheme: str, width: int
) -> None:
    with visit(browser, demo_server.url, scheme=scheme, width=width) as (page, complaints):
        sign_in(page, link_for("steward"))
        page.context.add_cookies([{"name": "insjo_lang", "value": "sv", "url": demo_server.url}])
        for path in ("/catalog", "/catalog/samples", "/catalog/samples/nyc", "/catalog/samples/nyc/volumes/raw"):
            page.goto(path, wait_until="networkidle")
            complaints.collect(page)
        for tab in ("overview", "statistics", "lineage", "label"):
            page.goto(f"/catalog/samples/nyc/airports?tab={tab}", wait_until="networkidle")
            complaints.collect(page)
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth + 1"), tab
            assert page.locator("h1").count() == 1
