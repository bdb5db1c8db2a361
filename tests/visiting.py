"""What a visitor does on the page, for its tests in the browser."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import BrowserContext, Locator, Page, Route, expect
from playwright.sync_api import Error as PlaywrightError

WAIT = 60_000  # milliseconds; waiting ends as soon as there is something to see
BOXES = "all => all.map(e => e.getBoundingClientRect())"
METHODS = ["siamese", "triplet", "finetune", "clip", "clip-adapter"]
# Gradio's own: a File's upload in a browser without a progress stream, and its plots.
KNOWN_NOISE = ("Method not implemented", "Vega", "x-scale", "favicon")


@contextmanager
def pages(window: BrowserContext, url: str) -> Iterator[Callable[..., Page]]:
    """What opens the page as a visitor of its own; nothing in it may go wrong unseen."""
    opened, complaints = [], []

    def complain(text: str) -> None:
        if not any(noise in text for noise in KNOWN_NOISE):
            complaints.append(text)

    def open_at(width: int = 1280, height: int = 900) -> Page:
        page = window.new_page()
        opened.append(page)
        page.set_viewport_size({"width": width, "height": height})
        page.set_default_timeout(WAIT)
        page.on("console", lambda m: complain(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: complain(str(error)))
        page.on("dialog", lambda dialog: (complain(dialog.message), dialog.dismiss()))
        try:
            page.goto(url)
        except PlaywrightError as error:
            # Chromium gives a navigation up now and then on a machine with no core to spare.
            if "ERR_ABORTED" not in str(error):
                raise
            page.goto(url)
        # The model's status is the last thing to be filled in.
        expect(page.locator("#classify")).to_be_visible()
        return page

    yield open_at
    told = [page.content() for page in opened]
    for page in opened:
        page.close()
    assert not any("Traceback" in content for content in told)
    assert complaints == [], complaints


def toast(page: Page) -> Locator:
    return page.locator("[data-testid=toast-body]")


def thumbnails(page: Page, gallery: str) -> Locator:
    return page.locator(f"{gallery} .thumbnail-item")


def upload(page: Page, gallery: str, files: list[str], expected: int | None = None) -> None:
    """Give a gallery more pictures and wait until it shows as many as expected."""
    before = thumbnails(page, gallery).count()
    page.set_input_files(f"{gallery} input[type=file]", files)
    expect(thumbnails(page, gallery)).to_have_count(expected or before + len(files))


def name_class(page: Page, number: int, name: str) -> None:
    page.get_by_label(f"Name of class {number}", exact=True).fill(name)


def class_names(page: Page) -> list[str]:
    return [page.locator(f"#class-{i} textarea").input_value() for i in range(1, n_slots(page) + 1)]


def n_slots(page: Page) -> int:
    return page.locator(".slot").count()


def import_zip(page: Page, path: str) -> None:
    page.set_input_files('[data-testid="Import a zip-upload-button"]', path)


def two_classes(page: Page, drawings: Callable[..., list[str]]) -> None:
    """Fill the first two slots and ask one question, whose answer is Loop."""
    for number, (name, glyph) in enumerate([("Loop", 4), ("Fork", 14)], start=1):
        name_class(page, number, name)
        upload(page, f"#pictures-{number}", drawings(glyph, range(2)))
    upload(page, "#queries", drawings(4, range(7, 8)))


def classify(page: Page) -> None:
    page.click("#classify")
    expect(page.locator("#cards .card")).to_have_count(5)


def stop_at_once(page: Page) -> None:
    """In the browser, as soon as there is something to stop."""
    page.evaluate(
        """async () => {
          const stop = () => document.querySelector("#stop");
          const moment = () => new Promise((done) => setTimeout(done, 1));
          for (let i = 0; i < 5000 && !stop()?.offsetParent; i++) await moment();
          stop().click();
        }"""
    )


def choose_model(page: Page, name: str) -> None:
    """Choose a CLIP model under Settings, which are open."""
    page.locator("#clip-model input").click()
    page.get_by_role("option", name=re.compile(name)).click()


def card(page: Page, method: str) -> Locator:
    return page.locator(f".card[data-method={method}]")


def labels(page: Page) -> list[str]:
    """The top labels of the three methods that CLIP has no part in."""
    return [card(page, method).locator(".label b").inner_text() for method in METHODS[:3]]


def draw_on(page: Page, pad: str, strokes: list[list[tuple[float, float]]]) -> None:
    """Draw with the mouse; points are shares of the pad's side."""
    canvas = page.locator(f"{pad} canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    for points in strokes:
        places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
        page.mouse.move(*places[0])
        page.mouse.down()
        for place in places[1:]:
            page.mouse.move(*place, steps=5)
        page.mouse.up()


def until(page: Page, condition: Callable[[], Any]) -> None:
    """Let the page go on until something is so that no locator tells."""
    deadline = time.monotonic() + WAIT / 1000
    while not condition():
        assert time.monotonic() < deadline, "It has not come to be so."
        page.wait_for_timeout(50)


@contextmanager
def held(page: Page, address: str, nth: int | None = None) -> Iterator[list[Route]]:
    """Hold back what the page asks the server for, all or the nth request, as slow lines do."""
    asked, back = [], []

    def hold(route: Route) -> None:
        asked.append(route)
        if nth in (None, len(asked)) and back is not None:
            back.append(route)
        else:
            route.continue_()

    page.route(re.compile(re.escape(address)), hold)
    yield asked
    held_back, back = back, None
    for route in held_back:
        route.continue_()


def as_float(shown: str) -> float:
    """A number of the page's, which has a true minus sign."""
    return float(shown.replace("−", "-"))


def cut_short(page: Page, texts: str) -> list[str]:
    """The texts of those elements that show less than they hold."""
    return page.locator(texts).evaluate_all(
        """all => all.filter(e => e.scrollWidth > e.clientWidth + 1
                                || e.scrollHeight > e.clientHeight + 1).map(e => e.innerText)"""
    )


def overflow(page: Page) -> int:
    """By how many pixels the page is wider than its window."""
    return page.evaluate("document.documentElement.scrollWidth - innerWidth")


def open_tab(page: Page, name: str) -> None:
    """Go to a tab; Gradio puts those that have no room behind an ellipsis."""
    tab = page.get_by_role("tab", name=name)
    if not tab.is_visible():
        page.locator(".overflow-menu > button").click()
        tab = page.locator(".overflow-dropdown button", has_text=name)
    tab.click()


def outdated(page: Page) -> Locator:
    return page.locator("#outdated .notice")
