"""Registered models in a real Chromium: none yet, a new one, its versions, files, aliases and rights, and deleting with a question."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.browser.test_catalog_pages import must
from tests.browser.test_journeys import sign_in
from tests.support.browser import visit

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Browser

    from tests.support.server import RunningServer

REGISTER = """async ([schema, name, files]) => {
  const send = (method, path, body) => fetch(path, {method, headers: {"content-type": "application/json"}, body: JSON.stringify(body)});
  const door = "/api/2.1/unity-catalog/models";
  const asked = {catalog_name: "main", schema_name: schema, model_name: name, run_id: "r1"};
  const made = await (await send("POST", door + "/versions", asked)).json();
  for (const file of files) {
    const put = await fetch(`/api/2.0/fs/files/Models/main/${schema}/${name}/${made.version}/${file}`, {method: "PUT", body: "x"});
    if (!put.ok) throw new Error(await put.text());
  }
  return (await (await send("PATCH", `${door}/main.${schema}.${name}/versions/${made.version}/finalize`, {})).json()).status;
}"""


def test_a_model_from_nothing_to_its_end(demo_server: RunningServer, browser: Browser, link_for: Callable[[str], str]) -> None:
    with visit(browser, demo_server.url) as (page, complaints):
        sign_in(page, link_for("admin"))
        page.goto("/models")
        expect(page.get_by_text("No model is registered yet")).to_be_visible()
        page.get_by_role("button", name="New model").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Name").fill("main.default.leavers")
        dialog.get_by_label("Comment").fill("Who may leave")
        dialog.get_by_role("button", name="Create").click()
        expect(page.get_by_role("heading", name="leavers")).to_be_visible()
        expect(page.get_by_text("No version yet")).to_be_visible()
        for _ in range(2):
            assert page.evaluate(REGISTER, ["default", "leavers", ["MLmodel", "data/model.bin"]]) == "READY"
        page.reload()
        versions = page.get_by_role("region", name="Versions")
        expect(versions.get_by_role("row")).to_have_count(3)
        page.get_by_label("Alias", exact=True).fill("champion")
        page.get_by_role("button", name="Set alias").click()
        expect(versions.get_by_role("row").nth(1)).to_contain_text("champion")
        expect(page.get_by_text("models:/main.default.leavers@champion")).to_be_visible()
        versions.get_by_role("link", name="1").click()
        files = page.get_by_role("region", name="Files of version 1")
        expect(files).to_contain_text("MLmodel")
        files.get_by_role("link", name="data/").click()
        expect(page.get_by_role("region", name="Files of version 1")).to_contain_text("model.bin")
        page.get_by_role("button", name="Remove alias champion").click()
        expect(versions).not_to_contain_text("champion")
        versions.get_by_role("row").nth(2).get_by_role("button", name="Delete").click()
        page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        expect(versions.get_by_role("row")).to_have_count(2)
        page.goto("/catalog/main/default")
        expect(page.locator(".explorer__tree")).to_contain_text("leavers")
        page.locator("main").get_by_role("region", name="Models").get_by_role("link", name="leavers").click()
        page.get_by_role("link", name="Permissions").click()
        page.locator("#field-principal").fill("analyst")
        page.locator("form", has=page.locator("#field-principal")).get_by_label("Privilege").select_option("EXECUTE")
        page.get_by_role("button", name="Grant").click()
        expect(page.get_by_role("region", name="Who may what")).to_contain_text("analyst")
        assert not complaints.console, complaints.console
        must(page, "GRANT USE CATALOG, USE SCHEMA ON CATALOG main TO analyst")
        with visit(browser, demo_server.url) as (other, _):
            sign_in(other, link_for("analyst"))
            other.goto("/models/main/default/leavers?version=2")
            expect(other.get_by_role("region", name="Files of version 2")).to_contain_text("MLmodel")
            expect(other.get_by_role("button", name="Delete model")).to_have_count(0)
        page.get_by_role("button", name="Delete model").click()
        page.get_by_role("dialog").get_by_role("button", name="Delete model").click()
        expect(page.get_by_text("No model is registered yet")).to_be_visible()
