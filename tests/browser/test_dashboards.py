"""Dashboards in a real Chromium: made, filtered, shared, and always run with the rights of whoever looks."""

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

    from playwright.sync_api import Browser, Page

    from tests.support.server import RunningServer

SALARY = "KF-"
"""Each employee's number begins so; nobody but the steward may see one."""


def add_tile(page: Page, title: str, query: str, form: str, **choices: str) -> None:
    page.get_by_role("button", name="Add a tile").click()
    dialog = page.locator("dialog.dialog--tile")
    dialog.get_by_label("Title").fill(title)
    dialog.get_by_role("radio", name=form).check(force=True)
    dialog.locator(".cm-content").click()
    page.keyboard.insert_text(query)
    dialog.get_by_role("button", name="Run", exact=True).click()
    expect(dialog.get_by_text(re.compile("rows? in"))).to_be_visible()
    for name, value in choices.items():
        dialog.locator(f"[name={name}]").select_option(value)
    with page.expect_response(re.compile("/ui/dashboards/")) as saved:
        dialog.get_by_role("button", name="Keep it").click()
    assert saved.value.ok
    expect(dialog).to_have_count(0)


def make(page: Page, name: str) -> str:
    """A new dashboard; gives its path."""
    page.goto("/dashboards")
    page.get_by_role("button", name="New dashboard").first.click()
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name)
    return "/dashboards/" + page.url.split("/dashboards/")[1].split("?")[0]


def share(page: Page, who: str, level: str) -> None:
    page.get_by_label("More").first.click()
    page.get_by_role("button", name="Share").first.click()
    page.get_by_label("Person or group").fill(who)
    page.locator("#share-level").select_option(level)
    page.locator("#share").get_by_role("button", name="Share", exact=True).click()
    expect(page).to_have_url(re.compile("shared=1"))


def test_tiles_are_made_filtered_and_seen_with_the_rights_of_whoever_looks(
    demo_server: RunningServer, browser: Browser, link_for: Callable[[str], str], tmp_path: Path
) -> None:
    with visit(browser, demo_server.url) as (page, _):
        sign_in(page, link_for("steward"))
        path = make(page, "Flights of a year")
        add_tile(page, "All", "SELECT count(*) AS n FROM samples.nyc.flights WHERE origin = :origin OR :origin = ''", "One figure")
        add_tile(page, "By carrier", "SELECT carrier, dep_delay FROM samples.nyc.flights", "Chart", sum="count")
        add_tile(page, "Pay", "SELECT * FROM samples.hr.salaries", "Table")
        page.get_by_role("button", name="Done").click()
        page.reload()
        expect(page.locator(".tile-card__figure")).to_have_text("336,776")
        expect(page.locator("[data-tile] rect.chart__fill")).to_have_count(16)
        expect(page.locator("insjo-dashboard")).to_contain_text(SALARY)
        expect(page.locator('section[aria-label="Pay"]')).to_contain_text("Confidential")
        page.get_by_label("Value of origin").fill("EWR")
        expect(page.locator(".tile-card__figure")).to_have_text("120,835")
        with page.expect_download() as caught:
            page.locator('section[aria-label="By carrier"]').get_by_role("button", name="Save as PNG").click()
        caught.value.save_as(tmp_path / "tile.png")
        assert (tmp_path / "tile.png").read_bytes().startswith(b"\x89PNG")
        share(page, "analyst", "CAN_READ")
        pdf = page.pdf(print_background=True)
        assert pdf.startswith(b"%PDF")
    with visit(browser, demo_server.url) as (page, complaints):
        complaints.expected_statuses.update({403, 404})
        sign_in(page, link_for("analyst"))
        page.goto("/dashboards")
        page.get_by_role("link", name="Flights of a year").click()
        expect(page.locator(".tile-card__figure")).to_have_text("336,776")
        expect(page.locator('section[aria-label="Pay"]')).to_contain_text("does not exist")
        assert SALARY not in page.content()
        assert page.get_by_role("button", name="Edit").count() == 0
        refused = page.evaluate(
            """async (path) => (await fetch("/ui" + path, {method: "PUT", headers: {"content-type": "application/json"},
                body: JSON.stringify({document: {}})})).status""",
            path,
        )
        assert refused in {403, 404}
    with visit(browser, demo_server.url) as (page, complaints):
        complaints.expected_statuses.add(404)
        sign_in(page, link_for("staff"))
        page.goto("/dashboards")
        expect(page.get_by_role("main")).not_to_contain_text("Flights of a year")
        answer = page.goto(path)
        assert answer is not None
        assert answer.status == 404


def test_a_dashboard_can_run_nothing_but_queries(demo_server: RunningServer, browser: Browser, link_for: Callable[[str], str]) -> None:
    with visit(browser, demo_server.url) as (page, complaints):
        complaints.expected_statuses.add(400)
        sign_in(page, link_for("steward"))
        page.goto("/sql?statement=CREATE%20OR%20REPLACE%20TABLE%20main.default.precious%20AS%20SELECT%207%20AS%20n")
        expect(page.get_by_role("tab")).to_have_count(1)
        page.locator("[data-run]").click()
        expect(page.locator("[data-status]")).to_contain_text(re.compile(r"\d s"))
        path = make(page, "Attack")
        texts = [
            "DROP TABLE main.default.precious",
            "SELECT 1); DROP TABLE main.default.precious; SELECT (1",
            "SELECT 1) -- \n; DELETE FROM main.default.precious --",
            "SELECT 1 AS n) UNION ALL (SELECT n FROM main.default.precious",
        ]
        layout = [
            {
                "widget": {
                    "name": f"w{index}",
                    "queries": [{"query": {"datasetName": f"d{index}"}}],
                    "spec": {"widgetType": "table", "frame": {"title": f"t{index}"}},
                },
                "position": {"x": 0, "y": index, "width": 6, "height": 3},
            }
            for index in range(len(texts))
        ]
        document = {
            "datasets": [{"name": f"d{index}", "displayName": "x", "queryLines": [text]} for index, text in enumerate(texts)],
            "pages": [{"name": "p", "displayName": "p", "layout": layout}],
        }
        saved = page.evaluate(
            """async ([path, document]) => (await fetch("/ui" + path, {method: "PUT", headers: {"content-type": "application/json"},
                body: JSON.stringify({document})})).status""",
            [path, document],
        )
        assert saved == 200
        page.goto(path)
        for index in range(3):
            expect(page.locator(f'section[aria-label="t{index}"] .alert')).to_be_visible()
        page.goto("/sql?statement=SELECT%20n%20FROM%20main.default.precious")
        expect(page.get_by_role("tab")).to_have_count(2)
        page.locator("[data-run]").click()
        expect(page.locator("insjo-grid [role=gridcell]").first).to_have_text("7")


def test_tiles_move_grow_and_go_and_a_change_by_somebody_else_is_not_overwritten(
    demo_server: RunningServer, browser: Browser, link_for: Callable[[str], str]
) -> None:
    with visit(browser, demo_server.url) as (page, complaints):
        complaints.expected_statuses.add(409)
        sign_in(page, link_for("steward"))
        path = make(page, "Moving")
        add_tile(page, "One", "SELECT 1 AS n", "One figure")
        add_tile(page, "Two", "SELECT 2 AS n", "One figure")
        titles = page.locator(".tile-card h2")
        with page.expect_response(re.compile("/ui/dashboards/")):
            page.locator('section[aria-label="Two"]').get_by_role("button", name="Move it forward").click()
        expect(titles.first).to_have_text("Two")
        with page.expect_response(re.compile("/ui/dashboards/")):
            page.locator('section[aria-label="Two"]').get_by_role("button", name="Another width").click()
        page.reload()
        expect(titles.first).to_have_text("Two")
        kept = json.loads(page.locator("insjo-dashboard > script").inner_text())
        assert kept["pages"][0]["layout"][0]["position"] == {"x": 0, "y": 0, "width": 3, "height": 2}
        other = page.context.new_page()
        other.goto(path + "?edit=1")
        with other.expect_response(re.compile("/ui/dashboards/")):
            other.locator('section[aria-label="One"]').get_by_role("button", name="Remove the tile").click()
        other.close()
        page.get_by_role("button", name="Another height").first.click()
        expect(page.locator("#toasts")).to_contain_text("Somebody changed the dashboard")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_the_pages_open_without_complaint_in_swedish(
    demo_server: RunningServer, browser: Browser, link_for: Callable[[str], str], scheme: str, width: int
) -> None:
    with visit(browser, demo_server.url, scheme=scheme, width=width) as (page, _):
        sign_in(page, link_for("staff"))
        path = make(page, f"Tom {scheme}")
        page.context.add_cookies([{"name": "insjo_lang", "value": "sv", "url": demo_server.url}])
        for each in ("/dashboards", path, path + "?edit=1"):
            page.goto(each, wait_until="networkidle")
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth + 1"), each
            assert page.locator("h1").count() == 1
            assert "dashboard_" not in page.locator("main").inner_text()
        expect(page.get_by_role("button", name="Lägg till en ruta")).to_be_visible()
