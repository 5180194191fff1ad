"""The SQL page in a real Chromium: hundreds of thousands of rows, tabs, parameters, charts, downloads, history."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.test_journeys import sign_in
from tests.support.browser import visit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Browser, Locator, Page

    from tests.support.server import RunningServer

ALL_FLIGHTS = "336,776"
STATEMENTS = [
    """select a.name as airline, count(*) as n from samples.nyc.flights f join samples.nyc.airlines a on f.carrier=a.carrier where
    f.dep_delay between 1 and 5 and a.name like 'x''y%' and f.origin in (select origin from b where c > 5 and d in
    ('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'bbbbbbbbbbbbbbbbbbbbb')) group by 1""",
    """with t as (select case when x>1 then 'a' when x<-1 then 'b -- no comment' else "c" end as y from z) -- a comment
    select a::int, b:c.d, arr[0] from t where e=:e""",
    "MERGE INTO t USING s ON t.id=s.id WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *; select `group` from `order by`",
    "select 'not closed from x",
    "select 1 - -1, - 1, map<int,string> /* block */ , x->y from r where (a or b) and not c",
]
CHECK_FORMAT = """async (statements) => {
  const base = document.querySelector("script[type=module]").src.replace(/insjo\\.js$/, "");
  const { formatSql } = await import(base + "sql-format.js");
  const { tokensOf, parametersOf } = await import(base + "sql-text.js");
  const words = (text) => tokensOf(text).filter((token) => token.kind !== "semicolon").map((token) => token.text);
  const told = (text, laid) => ({ laid, again: formatSql(laid), before: words(text), after: words(laid), parameters: parametersOf(text) });
  return statements.map((text) => told(text, formatSql(text)));
}"""


def write(page: Page, statement: str) -> None:
    page.locator("insjo-sql-editor .cm-content").click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(statement)
    page.keyboard.press("Escape")


def run(page: Page, statement: str) -> Locator:
    """Runs it and gives the grid."""
    write(page, statement)
    page.locator("[data-run]").click()
    expect(page.locator("[data-progress]")).to_be_hidden()
    return page.locator("insjo-grid [role=grid]")


def status(page: Page) -> Locator:
    return page.locator("[data-status]")


def test_a_result_of_very_many_rows_is_seen_sorted_filtered_and_downloaded(
    demo_server: RunningServer, browser: Browser, link_for: Callable[[str], str], tmp_path: Path
) -> None:
    with visit(browser, demo_server.url) as (page, _):
        sign_in(page, link_for("analyst"))
        page.goto("/sql")
        grid = run(page, "SELECT * FROM samples.nyc.flights")
        expect(status(page)).to_contain_text(ALL_FLIGHTS)
        assert page.locator(".grid__row").count() < 100, "only rows in sight exist"
        grid.focus()
        page.keyboard.press("Control+End")
        expect(page.locator(".grid__row").last).to_contain_text(ALL_FLIGHTS)
        expect(page.locator(".grid__row[data-waiting]")).to_have_count(0)
        page.get_by_role("button", name="Filter rows").click()
        page.get_by_label("Filter carrier").fill("= UA")
        expect(status(page)).to_contain_text("58,665")
        page.get_by_label("Filter dep_delay").fill("> 400")
        expect(status(page)).to_contain_text("10 rows")
        page.locator(".grid__sort", has_text=re.compile("^dep_delay")).click()
        expect(page.locator("[role=columnheader][aria-sort=ascending]")).to_contain_text("dep_delay")
        expect(page.locator('.grid__row[aria-rowindex="2"] [data-column="5"]')).to_have_text("405")
        cells = page.locator('.grid__row [data-column="5"]')
        delays = [int(text) for text in cells.all_inner_texts()]
        assert delays == sorted(delays)
        page.locator("insjo-grid details summary").click()
        expect(page.locator(".menu__note")).to_contain_text("Internal")
        with page.expect_download() as caught:
            page.get_by_role("link", name="CSV").click()
        file = tmp_path / "result.csv"
        caught.value.save_as(file)
        lines = file.read_text(encoding="utf-8").splitlines()
        assert [int(line.split(",")[5]) for line in lines[1:]] == delays
        assert caught.value.suggested_filename == "Query 1.csv"


def test_rows_without_end_scroll_where_a_browser_can_make_no_element_so_high(
    demo_server: RunningServer, browser: Browser, link_for: Callable[[str], str]
) -> None:
    with visit(browser, demo_server.url) as (page, _):
        sign_in(page, link_for("analyst"))
        page.goto("/sql")
        grid = run(page, "SELECT id, id * 2 AS twice FROM range(3000000)")
        expect(status(page)).to_contain_text("3,000,000")
        grid.hover()
        page.mouse.wheel(0, 310)
        expect(page.locator('.grid__row[aria-rowindex="12"]')).to_contain_text("20")
        grid.evaluate("element => { element.scrollTop = element.scrollHeight / 2 }")
        middle = page.locator(".grid__row:not([data-waiting])").first
        expect(middle).to_contain_text(re.compile(r"1,[45]\d\d,\d\d\d"))
        grid.focus()
        page.keyboard.press("Control+End")
        expect(page.locator('.grid__row[aria-rowindex="3000001"]')).to_contain_text("5999998")


def test_tabs_keep_their_text_and_result_and_come_back(
    demo_server: RunningServer, browser: Browser, link_for: Callable[[str], str]
) -> None:
    with visit(browser, demo_server.url) as (page, _):
        sign_in(page, link_for("analyst"))
        page.goto("/sql")
        run(page, "SELECT 'first' AS word")
        page.get_by_role("button", name=re.compile("^New query")).click()
        run(page, "SELECT 'second' AS word")
        expect(page.locator("insjo-grid")).to_contain_text("second")
        page.get_by_role("tab", name="Query 1").click()
        expect(page.locator("insjo-grid")).to_contain_text("first")
        page.get_by_role("tab", name="Query 1").press("ArrowRight")
        expect(page.get_by_role("tab", name="Query 2")).to_be_focused()
        expect(page.locator("insjo-grid")).to_contain_text("second")
        page.keyboard.press("F2")
        page.get_by_label("Name of the query").fill("mine")
        page.keyboard.press("Enter")
        page.reload()
        expect(page.get_by_role("tab", name="mine")).to_have_attribute("aria-selected", "true")
        expect(page.locator("insjo-sql-editor .cm-content")).to_contain_text("second")
        page.goto("/sql?statement=SELECT%2042")
        expect(page.get_by_role("tab")).to_have_count(3)
        expect(page).to_have_url(re.compile(r"/sql$"))
        page.get_by_role("button", name="Close mine").click()
        expect(page.get_by_role("tab")).to_have_count(2)


def test_parameters_format_explain_and_history(demo_server: RunningServer, browser: Browser, link_for: Callable[[str], str]) -> None:
    with visit(browser, demo_server.url) as (page, _):
        sign_in(page, link_for("analyst"))
        page.goto("/sql")
        write(
            page,
            "select count(*) as n from samples.nyc.flights where origin = :origin and month = :month_number and dest like '%:no%' or false",
        )
        page.get_by_label("Value of origin").fill("EWR")
        page.get_by_label("Value of month_number").fill("2")
        expect(page.locator(".sql-parameter")).to_have_count(2)
        page.get_by_role("button", name="Format").click()
        expect(page.locator("insjo-sql-editor .cm-line").nth(1)).to_have_text("FROM samples.nyc.flights")
        write(page, "SELECT count(*) AS n FROM samples.nyc.flights WHERE origin = :origin AND month = :month_number")
        page.locator("[data-run]").click()
        expect(page.locator("insjo-grid")).to_contain_text("9107")
        page.get_by_role("button", name="Explain").click()
        expect(page.locator("[data-plan]")).to_contain_text("samples.nyc.flights")
        page.get_by_role("button", name="History").click()
        page.get_by_label("Search in your statements").fill(":month_number")
        expect(page.locator(".sql-history__entry")).to_have_count(2)
        page.locator(".sql-history__entry").last.click()
        expect(page.get_by_role("tab")).to_have_count(2)
        expect(page.locator("insjo-sql-editor .cm-content")).to_contain_text(":month_number")


def test_a_chart_of_all_rows_is_made_by_the_engine_and_saved_with_its_label(
    demo_server: RunningServer, browser: Browser, link_for: Callable[[str], str], tmp_path: Path
) -> None:
    with visit(browser, demo_server.url) as (page, _):
        sign_in(page, link_for("analyst"))
        page.goto("/sql")
        run(page, "SELECT carrier, dep_delay, distance FROM samples.nyc.flights")
        page.get_by_role("button", name="Chart").click()
        chart = page.locator("insjo-sql-chart")
        chart.locator("[name=sum]").select_option("count")
        expect(chart.locator("rect.chart__fill")).to_have_count(16)
        chart.locator("summary").click()
        expect(chart.locator("table")).to_contain_text("58,665")
        for kind in ("Line", "Area", "Ring", "Points", "Bars"):
            chart.get_by_role("radio", name=kind).check(force=True)
            expect(chart.locator("svg.chart")).to_be_visible()
        with page.expect_download() as caught:
            chart.get_by_role("button", name="SVG").click()
        file = tmp_path / "chart.svg"
        caught.value.save_as(file)
        assert "Internal" in file.read_text(encoding="utf-8")
        with page.expect_download() as caught:
            chart.get_by_role("button", name="PNG").click()
        picture = tmp_path / "chart.png"
        caught.value.save_as(picture)
        assert picture.read_bytes().startswith(b"\x89PNG")


def test_names_are_offered_with_types_and_rights_and_errors_stand_in_the_text(
    demo_server: RunningServer, browser: Browser, link_for: Callable[[str], str]
) -> None:
    with visit(browser, demo_server.url) as (page, _):
        sign_in(page, link_for("analyst"))
        with page.expect_response(re.compile("/ui/sql/completions")) as caught:
            page.goto("/sql")
        offered = {each["name"]: each for each in caught.value.json()["tables"]}
        assert "samples.hr.salaries" not in offered
        assert offered["samples.nyc.flights"]["access"] == "read"
        assert ["dep_delay", "int"] in offered["samples.nyc.flights"]["columns"]
        write(page, "SELECT  FROM samples.nyc.flights")
        for _ in range(len(" FROM samples.nyc.flights")):
            page.keyboard.press("ArrowLeft")
        page.keyboard.type("dep_de")
        expect(page.locator(".cm-tooltip-autocomplete")).to_contain_text("int · flights")
        run(page, "SELECT carrier,\n  dep_dely\nFROM samples.nyc.flights")
        expect(page.locator("[data-error]")).to_contain_text("dep_delay")
        expect(page.locator(".cm-lintRange-error")).to_have_text(re.compile("dep_dely"))


def test_a_running_statement_is_cancelled_and_another_tab_is_free(
    demo_server: RunningServer, browser: Browser, link_for: Callable[[str], str]
) -> None:
    with visit(browser, demo_server.url) as (page, _):
        sign_in(page, link_for("analyst"))
        page.goto("/sql")
        write(
            page, "SELECT count(*) FROM range(60000) a CROSS JOIN range(60000) b CROSS JOIN range(1000) c WHERE a.id * b.id % 7 = c.id % 5"
        )
        page.locator("[data-run]").click()
        expect(page.locator("[data-cancel]")).to_be_visible()
        page.get_by_role("button", name=re.compile("^New query")).click()
        run(page, "SELECT 'meanwhile' AS word")
        expect(page.locator("insjo-grid")).to_contain_text("meanwhile")
        page.get_by_role("tab", name="Query 1").click()
        page.locator("[data-cancel]").click()
        expect(status(page)).to_contain_text("Cancelled")


def test_laying_out_changes_nothing_but_space_and_case(
    demo_server: RunningServer, browser: Browser, link_for: Callable[[str], str]
) -> None:
    with visit(browser, demo_server.url) as (page, _):
        sign_in(page, link_for("analyst"))
        page.goto("/sql")
        told = page.evaluate(CHECK_FORMAT, STATEMENTS)
        for text, each in zip(STATEMENTS, told, strict=True):
            assert [word.lower() for word in each["before"]] == [word.lower() for word in each["after"]], text
            assert [word for word in each["before"] if word[0] in "'\"`"] == [word for word in each["after"] if word[0] in "'\"`"]
            assert each["laid"] == each["again"], text
            assert max(map(len, each["laid"].splitlines())) <= 110 or text == each["laid"]
        assert told[1]["parameters"] == ["e"]
        assert told[3]["laid"] == STATEMENTS[3]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_a_phone_and_speaks_swedish(
    demo_server: RunningServer, browser: Browser, link_for: Callable[[str], str], scheme: str
) -> None:
    with visit(browser, demo_server.url, scheme=scheme, width=390) as (page, _):
        sign_in(page, link_for("analyst"))
        page.context.add_cookies([{"name": "insjo_lang", "value": "sv", "url": demo_server.url}])
        page.goto("/sql")
        run(page, "SELECT carrier, count(*) AS n FROM samples.nyc.flights GROUP BY carrier")
        page.get_by_role("button", name="Diagram").click()
        expect(page.locator("insjo-sql-chart svg.chart")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth + 1")
        shown = json.dumps(page.locator("insjo-sql-page").inner_text(), ensure_ascii=False)
        assert "Formatera" in shown
        assert "sql_" not in shown
