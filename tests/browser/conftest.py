"""A real browser, and pages whose trouble is recorded."""

from __future__ import annotations

import shutil

import pytest


@pytest.fixture(scope="module")
def browser():
    """Chromium; without it, or without playwright, the tests are skipped.

    Its driver keeps an event loop running in this thread, so it ends with the module: a wider
    scope would forbid `asyncio.run` to whatever the worker tests next.
    """
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("chromium is not installed")
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def new_page(browser):
    """Open a file; `page.trouble` lists messages, dialogs, errors and requests of other files."""
    contexts = []

    def opened(path, width=1280, **options):
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        page, address = context.new_page(), path.as_uri()
        page.trouble = []
        page.on("console", lambda message: page.trouble.append(message.text))
        page.on("dialog", lambda dialog: page.trouble.append("dialog"))
        page.on("pageerror", lambda error: page.trouble.append(str(error)))
        page.on("request", lambda r: r.url.split("#")[0] != address and page.trouble.append(r.url))
        page.goto(address)
        return page

    yield opened
    for context in contexts:
        context.close()
