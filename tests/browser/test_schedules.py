"""A schedule in a real Chromium: set, run at once, paused, ended; with the keyboard and in Swedish."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.browser.test_journeys import sign_in
from tests.browser.test_sql_page import write
from tests.support.browser import visit

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Browser

    from tests.support.server import RunningServer


def test_a_query_runs_by_itself(demo_server: RunningServer, browser: Browser, link_for: Callable[[str], str]) -> None:
    with visit(browser, demo_server.url) as (page, complaints):
        complaints.expected_statuses.add(404)  # There is no schedule yet.
        sign_in(page, link_for("analyst"))
        page.goto("/sql")
        write(page, "SELECT current_user() AS me")
        page.keyboard.press("Control+s")
        page.get_by_label("Name", exact=True).fill("Who am I")
        page.get_by_role("dialog").get_by_role("button", name="Save", exact=True).click()
        expect(page.get_by_role("tab", name="Who am I")).to_be_visible()
        page.get_by_role("button", name="Saved queries").click()
        page.get_by_role("button", name="Schedule Who am I").click()
        dialog = page.get_by_role("dialog", name="Schedule Who am I")
        expect(dialog.get_by_text("It does not run by itself.")).to_be_visible()
        expect(dialog.get_by_text("Nothing ran yet.")).to_be_visible()
        expect(dialog.get_by_role("button", name="Run once now")).to_be_hidden()
        dialog.get_by_label("How often").select_option("workdays")
        expect(dialog.get_by_label(re.compile("^Rule"))).to_have_value("0 6 * * 1-5")
        dialog.get_by_label("Time zone").fill("Europe/Stockholm")
        dialog.get_by_role("button", name="Set the schedule").click()
        expect(dialog.get_by_text(re.compile("with the rights of analyst"))).to_be_visible()
        dialog.get_by_role("button", name="Run once now").click()
        expect(dialog.locator("ul li").first).to_contain_text("analyst")
        dialog.get_by_label(re.compile("^Rule")).fill("99 * * * *")
        expect(dialog.get_by_label("How often")).to_have_value("other")
        complaints.expected_statuses.add(400)
        dialog.get_by_role("button", name="Set the schedule").click()
        expect(page.locator("#toasts")).to_contain_text("is not a minute of a rule")
        dialog.get_by_label("How often").select_option("hourly")
        dialog.get_by_label("Paused").check()
        dialog.get_by_role("button", name="Set the schedule").click()
        expect(dialog.get_by_text("Paused by analyst.")).to_be_visible()
        dialog.get_by_role("button", name="End the schedule").click()
        expect(dialog.get_by_text("It does not run by itself.")).to_be_visible()
