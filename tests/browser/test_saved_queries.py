"""Saved queries in a real Chromium: kept, changed, shared, run with the rights of whoever runs them."""

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


def test_a_query_is_saved_shared_and_run_with_the_rights_of_the_other(
    demo_server: RunningServer, browser: Browser, link_for: Callable[[str], str]
) -> None:
    with visit(browser, demo_server.url) as (page, _):
        sign_in(page, link_for("steward"))
        page.goto("/sql")
        write(page, "SELECT count(*) AS people FROM samples.hr.salaries")
        page.keyboard.press("Control+s")
        page.get_by_label("Name", exact=True).fill("Head count")
        page.get_by_role("dialog").get_by_role("button", name="Save", exact=True).click()
        expect(page.get_by_role("tab", name="Head count")).to_be_visible()
        write(page, "SELECT count(*) AS heads FROM samples.hr.salaries")
        with page.expect_response(re.compile("/ui/queries/")) as saved:
            page.get_by_role("button", name=re.compile("^Save ")).click()
        assert saved.value.ok
        page.get_by_role("button", name="Saved queries").click()
        expect(page.locator(".sql-history__entry", has_text="Head count")).to_contain_text("heads")
        page.get_by_role("button", name="Share Head count").click()
        page.get_by_label("Person or group").fill("analyst")
        page.get_by_label("May", exact=True).select_option("CAN_RUN")
        page.get_by_role("button", name="Share", exact=True).click()
        expect(page.locator("#toasts")).to_contain_text("Shared with analyst")
    with visit(browser, demo_server.url) as (page, complaints):
        complaints.expected_statuses.update({403, 404})
        sign_in(page, link_for("analyst"))
        page.goto("/sql")
        page.get_by_role("button", name="Saved queries").click()
        page.locator(".sql-history__entry", has_text="Head count").click()
        page.locator("[data-run]").click()
        expect(page.locator("[data-error]")).to_contain_text("does not exist")
        refused = page.evaluate(
            """async () => {
              const one = (await (await fetch("/ui/queries")).json()).queries.find((each) => each.name === "Head count");
              const sent = {method: "PUT", headers: {"content-type": "application/json"}, body: JSON.stringify({text: "SELECT 1"})};
              return [one.may_edit, (await fetch("/ui/queries/" + one.id, sent)).status];
            }"""
        )
        assert refused[0] is False
        assert refused[1] in {403, 404}
    with visit(browser, demo_server.url) as (page, _):
        sign_in(page, link_for("staff"))
        page.goto("/sql")
        page.get_by_role("button", name="Saved queries").click()
        expect(page.get_by_text("No saved query here.")).to_be_visible()
