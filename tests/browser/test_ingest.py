"""Add data in a real browser: a spreadsheet, a text file that does not fit everywhere, drift, merging, and the quarantine."""

from __future__ import annotations

import http.server
import os
import re
import threading
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.support.browser import visit
from tests.support.workbook import workbook

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from tests.support.server import RunningServer

WITHIN_MS = 60_000


def sign_in(page: Page, link: str) -> None:
    """Follow a sign-in link."""
    page.goto(link)
    expect(page).to_have_url(re.compile(r"/$"))


def drop(page: Page, path: Path) -> None:
    """Put a file on the page of the schema `main.default`."""
    page.goto("/ingest")
    page.get_by_label("Schema").select_option("main.default")
    page.get_by_role("button", name="Use this schema").click()
    page.locator("insjo-upload input[type=file]").set_input_files(str(path))
    expect(page).to_have_url(re.compile(r"/ingest/preview"))


def picture(page: Page, name: str) -> None:
    """Keep a picture, if somebody wants to look."""
    if folder := os.environ.get("INSJO_TEST_PICTURES"):
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)


def test_a_file_is_looked_at_loaded_and_merged(
    demo_server: RunningServer, browser: Browser, link_for: Callable[[str], str], tmp_path: Path
) -> None:
    first = tmp_path / "rivers.csv"
    first.write_bytes("river;length km\nLuleälven;461\nUmeälven;470\nÖreälven;long\n".encode("cp1252"))
    second = tmp_path / "more.csv"
    second.write_text("river,length_km,mouth\nUmeälven,471,Bothnia\nDalälven,541,Bothnia\n", encoding="utf-8")
    with visit(browser, demo_server.url) as (page, complaints):
        complaints.expected_statuses.add(400)
        sign_in(page, link_for("steward"))
        drop(page, first)
        expect(page.locator("insjo-grid")).to_contain_text("Öreälven")
        expect(page.get_by_label("Encoding")).to_have_value("windows-1252")
        expect(page.get_by_label("Separated by")).to_have_value(";")
        page.get_by_label("Type of length km").select_option("int")
        page.get_by_role("button", name="Read again").click()
        expect(page.get_by_text("Some rows do not fit")).to_be_visible()
        expect(page.get_by_label("Type of length km")).to_have_value("int")
        picture(page, "ingest-preview")
        page.get_by_role("button", name="Load it").click()
        expect(page.get_by_text("2 rows are in main.default.rivers.")).to_be_visible(timeout=WITHIN_MS)
        picture(page, "ingest-done")
        page.get_by_role("link", name="Look at the quarantine").click()
        expect(page.locator("insjo-grid")).to_contain_text("Öreälven;long")
        picture(page, "ingest-quarantine")
        drop(page, second)
        page.get_by_label("Table", exact=True).fill("main.default.rivers")
        page.get_by_label("Merge by key").check()
        page.get_by_label("river is part of the key").check()
        page.get_by_role("button", name="Compare with the table").click()
        expect(page.locator("#drift")).to_contain_text("mouth")
        page.get_by_role("button", name="Load it").click()
        expect(page.get_by_role("alert")).to_contain_text("would change the columns")
        picture(page, "ingest-drift")
        page.get_by_label("Change the table’s columns").check()
        page.get_by_role("button", name="Load it").click()
        expect(page.get_by_text("2 rows are in main.default.rivers.")).to_be_visible(timeout=WITHIN_MS)
        page.get_by_role("link", name="Look at it").click()
        expect(page.locator("insjo-grid")).to_contain_text("541")


def test_a_sheet_of_a_workbook(demo_server: RunningServer, browser: Browser, link_for: Callable[[str], str], tmp_path: Path) -> None:
    path = tmp_path / "lakes.xlsx"
    path.write_bytes(workbook({"Notes": [["read me"]], "Lakes": [["lake", "depth"], ["Hornavan", 221], ["Vättern", 128]]}))
    with visit(browser, demo_server.url) as (page, _):
        sign_in(page, link_for("steward"))
        drop(page, path)
        page.get_by_label("Sheet").fill("Lakes")
        page.get_by_role("button", name="Read again").click()
        expect(page.locator("insjo-grid")).to_contain_text("Hornavan")
        picture(page, "ingest-excel")
        page.get_by_role("button", name="Load it").click()
        expect(page.get_by_text("2 rows are in main.default.lakes.")).to_be_visible(timeout=WITHIN_MS)


class _Answers(http.server.BaseHTTPRequestHandler):
    """One file, whatever is asked for."""

    def do_GET(self) -> None:
        """Answer."""
        content = "town,people\nKiruna,17000\nÅre,12000\n".encode()
        self.send_response(200)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


def test_a_file_of_an_allowed_place(demo_server: RunningServer, browser: Browser, link_for: Callable[[str], str]) -> None:
    site = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    threading.Thread(target=site.serve_forever, daemon=True).start()
    words = ("sql", "CREATE VOLUME IF NOT EXISTS main.default.uploads", "--data", str(demo_server.data_dir))
    demo_server.insjo(*words)
    url = f"http://127.0.0.1:{site.server_port}/public/"
    place = ("location", "add", "stats", url, "--volume", "main.default.uploads", "--private", "--data", str(demo_server.data_dir))
    demo_server.insjo(*place)
    try:
        with visit(browser, demo_server.url) as (page, _):
            sign_in(page, link_for("steward"))
            page.goto("/ingest")
            page.get_by_label("File or table").fill("2026/people.csv")
            picture(page, "ingest-start")
            page.get_by_role("button", name="Fetch it").click()
            expect(page.get_by_text("The file lies at")).to_be_visible(timeout=WITHIN_MS)
            page.get_by_role("link", name="Look at it").click()
            expect(page.locator("insjo-grid")).to_contain_text("Kiruna")
            page.get_by_role("button", name="Load it").click()
            expect(page.get_by_text("2 rows are in main.default.people.")).to_be_visible(timeout=WITHIN_MS)
    finally:
        site.shutdown()
        site.server_close()
