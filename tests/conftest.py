"""Shared fixtures: the page, served once per session as a visitor would start it; a browser."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import BrowserContext, Page, expect, sync_playwright
from visiting import WAIT, open_tab, pages

from fewshot.handwriting import draw

ROOT = Path(__file__).parents[1]
START_SECONDS = 120  # on a machine that is busy with something else

# No test looks anything up, and none finds a CLIP model that happens to be on the machine.
os.environ["HF_HUB_OFFLINE"] = "1"
# Tests compare with references to five digits, of which bf16 has two or three; test_device.py alone
# asks the hardware.
os.environ["FEWSHOT_PRECISION"] = "fp32"
# A shell has Ctrl-C ignored by what it runs in the background, as some tests of it would find.
signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ.pop("FEWSHOT_CLIP", None)
os.environ.pop("FEWSHOT_CHECKPOINTS", None)


def png(glyph: int, drawer: int, surface: str = "ink") -> bytes:
    """A drawing as a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(draw(glyph, drawer, surface=surface)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(autouse=True, scope="session")
def _own_uploads(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What handlers keep goes to no place that somebody uses."""
    os.environ["GRADIO_TEMP_DIR"] = str(tmp_path_factory.mktemp("gradio"))


@pytest.fixture(scope="session")
def page_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """``python app.py`` on a free port, answering; whatever is done there, nothing may go wrong."""
    log = tmp_path_factory.mktemp("page") / "log.txt"
    with served(log, tmp_path_factory.mktemp("elsewhere")) as (url, _):
        yield url
    assert "Traceback" not in log.read_text("utf-8", "replace")


@contextlib.contextmanager
def served(log_path: Path, elsewhere: Path) -> Iterator[tuple[str, subprocess.Popen]]:
    """The page as a visitor would start it: its address and its process, ended afterwards.

    Args:
        log_path: where what it prints goes.
        elsewhere: folder of its own for what it would keep in the user's.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {
        "HF_HUB_CACHE": str(elsewhere / "hub"),
        "GRADIO_TEMP_DIR": str(elsewhere / "gradio"),
        "PYTHONUNBUFFERED": "1",
    }
    for name in ("GRADIO_SERVER_NAME", "GRADIO_SERVER_PORT", "SPACE_ID"):
        environment.pop(name, None)
    url = f"http://127.0.0.1:{port}/"
    command = [sys.executable, "app.py", "--port", str(port)]
    with log_path.open("wb") as log:
        server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        try:
            _wait_for(url, server, log_path)
            yield url, server
        finally:
            server.terminate()
            server.wait(20)


def _wait_for(url: str, server: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    pytest.fail(f"The page did not start:\n{log.read_text('utf-8', 'replace')[-2000:]}")


@pytest.fixture(scope="session")
def browser():
    """Debian's Chromium, driven by Playwright; quicker where it comes without a window."""
    names = ("chromium-headless-shell", "chromium", "chromium-browser")
    chromium = next(filter(None, map(shutil.which, names)), None)
    if chromium is None:
        pytest.fail("The page's tests need Chromium: apt-get install chromium.")
    expect.set_options(timeout=WAIT)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="session")
def window(browser):
    """What the pages are opened in: all in one, as what a page is made of is then fetched once."""
    context = browser.new_context(accept_downloads=True)
    yield context
    context.close()


@pytest.fixture
def open_page(window: BrowserContext, page_url: str) -> Iterator[Callable[..., Page]]:
    """Open the page at a width and height."""
    with pages(window, page_url) as open_at:
        yield open_at


@pytest.fixture
def page(open_page: Callable[..., Page]) -> Page:
    """The page, wide."""
    return open_page()


@pytest.fixture(scope="module")
def _fresh(window: BrowserContext, page_url: str) -> Iterator[Page]:
    with pages(window, page_url) as open_at:
        yield open_at()


@pytest.fixture
def fresh(_fresh: Page) -> Page:
    """The page before anything is given; all tests that only look at it share one."""
    open_tab(_fresh, "Classify")
    return _fresh


@pytest.fixture(scope="module")
def answered(window: BrowserContext, page_url: str) -> Iterator[Page]:
    """The page with an example's answers; tests that share it leave its first query in sight."""
    with pages(window, page_url) as open_at:
        page = open_at()
        page.click("#example-alphabet")
        expect(page.locator("#cards .card")).to_have_count(5)
        yield page


@pytest.fixture(scope="session")
def measured():
    """Two methods measured on the invented alphabet, as the Evaluate tab does: its report."""
    # Not above, where the hub would be read before it is told to be offline.
    from evaluate_runs import reports

    from fewshot.ui.evaluate_request import Request

    methods = {"methods": ("prototype", "pixels"), "against": "prototype"}
    return reports(Request(**methods, episodes=60))[-1]


@pytest.fixture(scope="session")
def drawings(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., list[str]]:
    """Write drawings of a glyph to files, one for each drawer: their paths."""
    folder = tmp_path_factory.mktemp("drawings")

    def write(glyph: int, drawers: range, surface: str = "ink") -> list[str]:
        paths = [folder / f"glyph{glyph}-{drawer}.png" for drawer in drawers]
        for path, drawer in zip(paths, drawers, strict=True):
            path.write_bytes(png(glyph, drawer, surface))
        return [str(path) for path in paths]

    return write


@pytest.fixture
def zip_of(tmp_path: Path) -> Callable[..., str]:
    """Write a zip of drawings by drawers from a first on, in folders "Letter 0" and so on."""

    def write(
        name: str,
        n_classes: int,
        shots: int,
        extra: dict[str, bytes] | None = None,
        first: int = 900,
    ) -> str:
        path = tmp_path / name
        with zipfile.ZipFile(path, "w") as archive:
            for glyph in range(n_classes):
                for drawer in range(shots):
                    archive.writestr(f"Letter {glyph}/{drawer}.png", png(glyph, first + drawer))
            for file, content in (extra or {}).items():
                archive.writestr(file, content)
        return str(path)

    return write
