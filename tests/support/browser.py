"""A real Chromium that remembers everything it complained about."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
REPORT_VIOLATIONS = """
window.__violations = [];
document.addEventListener("securitypolicyviolation", (event) => {
  window.__violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`);
});
"""


@dataclass
class Complaints:
    """What the browser found wrong."""

    console: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    policy: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)
    expected_statuses: set[int] = field(default_factory=set)

    def watch(self, page: Page, origin: str) -> None:
        """Listen to a page from its first moment."""
        page.add_init_script(REPORT_VIOLATIONS)
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.console.append(f"uncaught: {error}"))
        page.on("requestfailed", lambda request: self.failed.append(f"{request.method} {request.url}: {request.failure}"))
        page.on("request", lambda request: self._elsewhere(request.url, origin))

    def _console(self, message: ConsoleMessage) -> None:
        if message.type not in {"error", "warning"}:
            return
        if any(f"status of {status}" in message.text for status in self.expected_statuses):
            return
        self.console.append(f"{message.type}: {message.text}")

    def _elsewhere(self, url: str, origin: str) -> None:
        if not url.startswith((origin, "data:", "blob:", "about:")):
            self.elsewhere.append(url)

    def collect(self, page: Page) -> None:
        """Ask the page for violations of its policy; to be called before it goes away."""
        with contextlib.suppress(Exception):  # A page that is just being replaced has none to tell.
            self.policy += page.evaluate("window.__violations ?? []")

    def check(self) -> None:
        """Fail when there was anything."""
        aborted = [each for each in self.failed if "ERR_ABORTED" not in each]
        assert not self.console, self.console
        assert not self.policy, self.policy
        assert not self.elsewhere, self.elsewhere
        assert not aborted, aborted


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """The browser, headless, with an empty profile."""
    if not CHROMIUM.exists():
        pytest.skip(f"needs Debian's Chromium at {CHROMIUM}; `make chromium` installs it")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(FLAGS))
        yield browser
        browser.close()


@contextlib.contextmanager
def visit(browser: Browser, url: str, *, scheme: str = "light", width: int = 1360, height: int = 860) -> Iterator[tuple[Page, Complaints]]:
    """A window of somebody's own: no cookie of anybody else's; complaints are checked when it closes."""
    complaints = Complaints()
    context: BrowserContext = browser.new_context(
        base_url=url,
        viewport={"width": width, "height": height},
        color_scheme="dark" if scheme == "dark" else "light",
        locale="en-GB",
        reduced_motion="reduce",
        accept_downloads=True,
    )
    page = context.new_page()
    page.set_default_timeout(30_000)
    complaints.watch(page, url)
    yield page, complaints
    complaints.collect(page)
    context.close()
    complaints.check()
