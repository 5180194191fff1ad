"""Policies as people use them: set, tried on what was, and one call approved."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from insjo.testing.recorder import Recorder
from tests.support.browser import visit
from tests.web.test_insjo_api import PREFIX, Door

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Browser

    from tests.support.server import RunningServer

NAME = "lawful"
PERSON = "850709-9805"
"""A number that Skatteverket publishes for tests."""


def ask(door: Door, text: str) -> tuple[int, str]:
    return door.raw("POST", "/v1/chat/completions", {"model": NAME, "messages": [{"role": "user", "content": text}]})


def make(door: Door, recorder: Recorder) -> None:
    """An endpoint with a model elsewhere that may receive what people type."""
    custom = {"custom_provider_url": recorder.base_url}
    entity = {
        "name": "paid",
        "external_model": {"name": "m", "provider": "custom", "task": "llm/v1/chat", "custom_provider_config": custom},
    }
    door.call("POST", "/api/2.0/serving-endpoints", {"name": NAME, "config": {"served_entities": [entity]}})
    clearance = {"destination": f"served_model:{NAME}/paid", "level": "internal", "categories": ["*"], "keeps": False}
    door.call("PUT", f"{PREFIX}/clearances", clearance)


def test_a_policy_is_tried_set_and_a_call_approved(demo_server: RunningServer, browser: Browser, link_for: Callable[[str], str]) -> None:
    door = Door(demo_server.url, demo_server.token("admin"))
    with Recorder().running() as recorder, visit(browser, demo_server.url) as (page, _):
        make(door, recorder)
        assert ask(door, "How deep is the lake?")[0] == 200
        assert ask(door, f"Who is {PERSON}?")[0] == 403
        page.goto(link_for("admin"))
        page.goto(f"/endpoints/{NAME}")
        page.get_by_label("Leave out what is above").check()
        page.get_by_label("Ask before it is refused").select_option("user")
        page.get_by_role("button", name="Try it on the last 30 days").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Dry run")
        expect(page.get_by_text("left out in part").first).to_be_visible()
        expect(page.get_by_text("detected:personnummer")).to_be_visible()
        page.get_by_role("link", name="Back").click()
        page.get_by_label("Leave out what is above").check()
        page.get_by_label("Ask before it is refused").select_option("user")
        page.get_by_role("button", name="Save", exact=True).click()
        expect(page).to_have_url(re.compile("#policy$"))
        expect(page.get_by_label("Leave out what is above")).to_be_checked()

        page.get_by_role("button", name="Add a guardrail").first.click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Name").fill("heron")
        dialog.get_by_label("What", exact=False).first.fill("blue heron")
        dialog.get_by_role("button", name="Add a guardrail").click()
        expect(page.get_by_role("cell", name="blue heron")).to_be_visible()
        status, told = ask(door, "A blue heron.")
        assert (status, "guardrail_blocked" in told) == (403, True)
        status, told = ask(door, f"Who is {PERSON}?")
        assert (status, "approval_needed" in told) == (403, True)
        page.goto("/usage")
        page.get_by_role("link", name="Approvals").click()
        page.get_by_role("button", name="Approve").click()
        page.get_by_role("dialog").get_by_role("button", name="Approve").click()
        expect(page.get_by_text("granted", exact=True)).to_be_visible()
        assert ask(door, f"Who is {PERSON}?")[0] == 200
        assert ask(door, f"Who is {PERSON}?")[0] == 403

        page.goto("/admin/policies")
        row = page.get_by_role("row").filter(has_text=f"{NAME} / paid")
        row.get_by_role("button", name="Change").click()
        page.get_by_role("dialog").get_by_label("Highest level").select_option("public")
        page.get_by_role("dialog").get_by_role("button", name="Try it on the last 30 days").click()
        expect(page.get_by_text("left out in part").first).to_be_visible()
        page.goto("/admin/audit?outcome=asked")
        expect(page.get_by_text("approval.ask").first).to_be_visible()
        page.set_viewport_size({"width": 420, "height": 860})
        for path in ("/usage/approvals", "/admin/policies", f"/endpoints/{NAME}"):
            page.goto(path)
            assert page.evaluate("document.documentElement.scrollWidth") <= 420 + 1, path
        door.call("DELETE", f"/api/2.0/serving-endpoints/{NAME}")
