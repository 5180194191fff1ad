"""What people do, in a real Chromium: no console error, no report of the policy, no request to anywhere else."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from insjo.agents.pages import PAGES
from tests.support.browser import visit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from tests.support.server import RunningServer

MODEL_MS = 180_000
"""A small model on a busy machine; nothing is timed here."""


def sign_in(page: Page, link: str) -> None:
    page.goto(link)
    expect(page).to_have_url(re.compile(r"/$"))


def test_sign_in_by_link_choose_a_password_sign_out_and_in_again(
    demo_server: RunningServer, browser: Browser, link_for: Callable[[str], str]
) -> None:
    with visit(browser, demo_server.url) as (page, complaints):
        page.goto("/catalog")
        expect(page).to_have_url(re.compile(r"/sign-in\?next="))
        sign_in(page, link_for("staff"))
        page.goto("/settings/password")
        page.get_by_label("New password").fill("a calm lake at dawn")
        page.get_by_label("Once more").fill("a calm lake at dawn")
        page.get_by_role("button", name="Save the password").click()
        expect(page.get_by_text("The password is set.")).to_be_visible()
        page.locator("summary", has_text="Account of").click()
        page.get_by_role("button", name="Sign out").click()
        expect(page).to_have_url(re.compile(r"/sign-in"))
        page.get_by_label("Name").fill("staff")
        complaints.expected_statuses.add(401)
        page.get_by_label("Password").fill("wrong")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_be_visible()
        page.get_by_label("Password").fill("a calm lake at dawn")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("Maja")


def test_query_shows_rows_and_label_and_marks_an_error(
    demo_server: RunningServer, browser: Browser, link_for: Callable[[str], str]
) -> None:
    with visit(browser, demo_server.url) as (page, _):
        sign_in(page, link_for("analyst"))
        statement = "SELECT origin, count(*) AS n FROM samples.nyc.flights GROUP BY origin ORDER BY origin"
        page.goto(f"/sql?statement={statement}")
        page.locator("insjo-sql-editor .cm-content").click()
        page.keyboard.press("Control+Enter")
        grid = page.locator("insjo-grid [role=grid]")
        expect(grid).to_contain_text("120835")
        expect(page.locator(".workbench__status")).to_contain_text("Internal")
        page.goto("/sql?statement=SELECT%20*%20FROM%20samples.nyc.flihgts")
        page.get_by_role("button", name=re.compile("^Run")).first.click()
        expect(page.locator("[data-error]")).to_contain_text("flights")


def test_a_dropped_file_becomes_a_table(
    demo_server: RunningServer, browser: Browser, link_for: Callable[[str], str], tmp_path: Path
) -> None:
    file = tmp_path / "towns.csv"
    file.write_text("town,people\nKiruna,17000\nÅre,12000\n", encoding="utf-8")
    with visit(browser, demo_server.url) as (page, _):
        sign_in(page, link_for("steward"))
        page.goto("/ingest")
        page.get_by_label("Schema").select_option("main.default")
        page.get_by_role("button", name="Use this schema").click()
        page.locator("insjo-upload input[type=file]").set_input_files(str(file))
        expect(page).to_have_url(re.compile(r"/ingest/preview"))
        expect(page.locator("insjo-grid")).to_contain_text("Åre")
        page.get_by_role("button", name="Load it").click()
        expect(page.get_by_text("2 rows are in main.default.towns.")).to_be_visible(timeout=60_000)
        page.get_by_role("link", name="Look at it").click()
        expect(page.locator("insjo-grid")).to_contain_text("Kiruna")


def test_chat_streams_an_answer_from_the_model_on_this_machine(
    demo_server: RunningServer, browser: Browser, link_for: Callable[[str], str]
) -> None:
    with visit(browser, demo_server.url) as (page, _):
        sign_in(page, link_for("staff"))
        page.goto("/chat")
        page.locator("insjo-chat textarea").fill("Say hello in one short sentence.")
        page.keyboard.press("Enter")
        answer = page.locator(".bubble:not(.bubble--person) .bubble__text").last
        expect(answer).not_to_be_empty(timeout=MODEL_MS)
        expect(page.locator("insjo-chat [data-stop]")).to_be_hidden(timeout=MODEL_MS)
        page.reload()
        expect(page.locator(".bubble--person").last).to_contain_text("Say hello")


def test_chat_on_documents_names_sources_that_open(demo_server: RunningServer, browser: Browser, link_for: Callable[[str], str]) -> None:
    with visit(browser, demo_server.url) as (page, _):
        sign_in(page, link_for("steward"))
        page.goto("/knowledge/samples.docs.manual_index")
        expect(page.locator("#state")).to_contain_text("passages", timeout=MODEL_MS)
        page.goto("/chat?index=samples.docs.manual_index")
        page.locator("insjo-chat textarea").fill("How do I share a table?")
        page.keyboard.press("Enter")
        source = page.locator(".bubble .source").first
        expect(source).to_be_visible(timeout=MODEL_MS)
        expect(page.locator("insjo-chat [data-stop]")).to_be_hidden(timeout=MODEL_MS)
        source.click()
        expect(page.locator("blockquote")).to_be_visible()


def test_the_app_answers_with_the_right_number_and_shows_its_sql(
    demo_server: RunningServer, browser: Browser, link_for: Callable[[str], str]
) -> None:
    with visit(browser, demo_server.url) as (page, _):
        sign_in(page, link_for("analyst"))
        page.goto("/apps")
        page.get_by_role("link", name="flight_desk").first.click()
        page.locator("insjo-chat textarea").fill("How many flights left from EWR?")
        page.keyboard.press("Enter")
        answer = page.locator(".bubble:not(.bubble--person)").last
        expect(answer).to_contain_text(re.compile(r"120[\s,. ]?835"), timeout=MODEL_MS)
        expect(answer).to_contain_text("SELECT")


def test_the_assistant_opens_the_page_and_the_language_switches(
    demo_server: RunningServer, browser: Browser, link_for: Callable[[str], str]
) -> None:
    with visit(browser, demo_server.url) as (page, _):
        sign_in(page, link_for("staff"))
        page.keyboard.press("Control+j")
        page.locator("insjo-assistant textarea").fill("where do I see what the models cost?")
        page.keyboard.press("Enter")
        page.locator("[data-assistant-log] a[href$='/usage']").first.click()
        expect(page).to_have_url(re.compile(r"/usage"))
        page.locator("summary[aria-label='Language']").click()
        page.get_by_role("button", name="Svenska").click()
        expect(page.locator("html")).to_have_attribute("lang", "sv")
        expect(page.get_by_role("heading", level=1)).to_have_text("Användning")


def test_the_palette_finds_pages_and_tables(demo_server: RunningServer, browser: Browser, link_for: Callable[[str], str]) -> None:
    with visit(browser, demo_server.url) as (page, _):
        sign_in(page, link_for("analyst"))
        page.keyboard.press("Control+k")
        page.locator("#palette input").fill("airports")
        expect(page.locator("#palette-list")).to_contain_text("airports")
        page.keyboard.press("Enter")
        expect(page).to_have_url(re.compile(r"/catalog/samples/nyc/airports"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1360, 390])
def test_every_page_opens_without_complaint(
    demo_server: RunningServer, browser: Browser, link_for: Callable[[str], str], scheme: str, width: int
) -> None:
    extra = ("/catalog/samples", "/catalog/samples/nyc", "/catalog/samples/nyc/flights", "/catalog/samples/nyc/flights?tab=sample")
    more = ("/catalog/samples/nyc/flights?tab=history", "/catalog/samples/hr/salaries?tab=label", "/catalog/samples/nyc/volumes/raw")
    others = ("/catalog/samples/nyc/flights?tab=permissions", "/endpoints/outside", "/docs/tutorial/first-day", "/settings/password")
    with visit(browser, demo_server.url, scheme=scheme, width=width) as (page, complaints):
        complaints.expected_statuses.add(501)
        sign_in(page, link_for("steward"))
        for path in (*(each.path for each in PAGES), *extra, *more, *others):
            answer = page.goto(path, wait_until="networkidle")
            assert answer is not None
            assert answer.status in {200, 501}, f"{path}: {answer.status}"
            complaints.collect(page)
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth + 1"), f"{path} is wider than the window"
            assert page.locator("h1").count() == 1, path


def test_an_analyst_does_not_find_what_is_hidden(demo_server: RunningServer, browser: Browser, link_for: Callable[[str], str]) -> None:
    with visit(browser, demo_server.url) as (page, complaints):
        complaints.expected_statuses.update({403, 404})
        sign_in(page, link_for("analyst"))
        page.goto("/catalog/samples")
        expect(page.get_by_role("main")).to_contain_text("nyc")
        expect(page.get_by_role("main")).not_to_contain_text("hr")
        answer = page.goto("/catalog/samples/hr/salaries")
        assert answer is not None
        assert answer.status == 404
        answer = page.goto("/admin/audit")
        assert answer is not None
        assert answer.status in {403, 404}
