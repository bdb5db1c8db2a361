"""The page in a real browser: drawings made on it."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable

import pytest
from PIL import Image, ImageOps
from playwright.sync_api import Page, expect
from visiting import class_names, classify, draw_on, labels, name_class, thumbnails, two_classes


def test_drawings_on_the_pads_give_cards(page: Page) -> None:
    cross = [[(0.2, 0.2), (0.8, 0.8)], [(0.8, 0.2), (0.2, 0.8)]]
    ring = [[(0.5, 0.2), (0.8, 0.5), (0.5, 0.8), (0.2, 0.5), (0.5, 0.2)]]
    problem = page.locator("#problem-said .notice")
    name_class(page, 1, "Cross")
    name_class(page, 2, "Ring")
    for pad, gallery, strokes in [
        ("#pad-1", "#pictures-1", cross),
        ("#pad-2", "#pictures-2", ring),
        ("#pad-query", "#queries", [[(x * 0.8, y * 0.8) for x, y in s] for s in cross]),
    ]:
        page.click("#classify")
        expect(problem).to_have_count(1)  # it lacks this drawing
        page.click(f"{pad} summary")
        expect(page.locator(f"{pad} .pad-hint")).to_be_visible()
        expect(page.locator(f"{pad} [data-do=add]")).to_be_disabled()
        draw_on(page, pad, strokes)
        expect(page.locator(f"{pad} .pad-hint")).to_be_hidden()
        page.click(f"{pad} [data-do=add]")
        expect(thumbnails(page, gallery)).to_have_count(1)
        expect(page.locator(f"{pad} .pad-hint")).to_be_visible()  # and the pad is empty again
        expect(problem).to_have_count(0)
    page.wait_for_function("JSON.parse(sessionStorage.classify).queries.length === 1")
    classify(page)
    assert labels(page) == ["Cross"] * 3


def test_a_drawing_left_on_a_pad_is_asked_about(page: Page, drawings: Callable) -> None:
    two_classes(page, drawings)
    page.locator("#pad-query summary").click()
    draw_on(page, "#pad-query", [[(0.2, 0.2), (0.8, 0.8)]])
    page.click("#classify")
    expect(page.locator("#problem-said")).to_contain_text(
        "The drawing on the pad for the picture to classify is not among the pictures yet"
    )
    page.click("#pad-query [data-do=clear]")
    expect(page.locator("#problem-said .notice")).to_have_count(0)
    draw_on(page, "#pad-query", [[(0.2, 0.2), (0.8, 0.8)]])
    # At once: a drawing that is on its way to the pictures is waited for.
    page.evaluate("""() => {
      document.querySelector("#pad-query [data-do=add]").click();
      document.querySelector("#classify").click();
    }""")
    expect(thumbnails(page, "#queries")).to_have_count(2)
    expect(page.locator("tr[data-query]")).to_have_count(2)


def test_undo_takes_back_one_stroke(page: Page) -> None:
    page.click("#pad-1 summary")
    draw_on(page, "#pad-1", [[(0.2, 0.5), (0.8, 0.5)], [(0.5, 0.2), (0.5, 0.8)]])
    page.click("#pad-1 [data-do=undo]")
    expect(page.locator("#pad-1 .pad-hint")).to_be_hidden()
    page.click("#pad-1 [data-do=undo]")
    expect(page.locator("#pad-1 .pad-hint")).to_be_visible()
    # What was cleared comes back as a whole.
    draw_on(page, "#pad-1", [[(0.2, 0.5), (0.8, 0.5)], [(0.5, 0.2), (0.5, 0.8)]])
    page.click("#pad-1 [data-do=clear]")
    expect(page.locator("#pad-1 .pad-hint")).to_be_visible()
    page.click("#pad-1 [data-do=undo]")
    expect(page.locator("#pad-1 .pad-hint")).to_be_hidden()
    expect(page.locator("#pad-1 [data-do=add]")).to_be_enabled()


def test_control_z_takes_a_stroke_back_and_no_name(page: Page) -> None:
    name_class(page, 1, "Loop")
    page.get_by_label("Name of class 1", exact=True).press("End")
    page.keyboard.type("s")
    page.click("#pad-1 summary")
    draw_on(page, "#pad-1", [[(0.2, 0.5), (0.8, 0.5)], [(0.5, 0.2), (0.5, 0.8)]])
    page.keyboard.press("Control+z")
    expect(page.locator("#pad-1 .pad-hint")).to_be_hidden()
    page.keyboard.press("Meta+z")
    expect(page.locator("#pad-1 .pad-hint")).to_be_visible()
    page.keyboard.press("Control+z")  # one too many
    draw_on(page, "#pad-1", [[(0.2, 0.5), (0.8, 0.5)]])
    page.click("#pad-1 [data-do=add]")
    expect(thumbnails(page, "#pictures-1")).to_have_count(1)
    page.keyboard.press("Control+z")  # there is no such button any more to have the focus
    assert class_names(page)[0] == "Loops"


def test_a_second_finger_draws_nothing(page: Page) -> None:
    page.click("#pad-1 summary")
    page.locator("#pad-1 canvas").scroll_into_view_if_needed()
    box = page.locator("#pad-1 canvas").bounding_box()
    touch = page.context.new_cdp_session(page)

    def touched(kind: str, *points: tuple[int, float, float]) -> None:
        places = [
            {"id": i, "x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"]}
            for i, x, y in points
        ]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})

    touched("touchStart", (1, 0.2, 0.2))
    touched("touchStart", (1, 0.2, 0.2), (2, 0.8, 0.8))  # a palm
    touched("touchMove", (1, 0.5, 0.2), (2, 0.8, 0.7))
    touched("touchEnd", (2, 0.8, 0.7))  # it is lifted, the finger is not
    touched("touchMove", (1, 0.8, 0.2))
    touched("touchEnd")
    url = page.locator("#pad-1 canvas").evaluate("canvas => canvas.toDataURL()")
    drawn = Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))).convert("L")
    inked = [edge / drawn.width for edge in ImageOps.invert(drawn).getbbox()]
    assert inked == pytest.approx([0.2, 0.2, 0.8, 0.2], abs=0.03)  # one line along the top
    page.click("#pad-1 [data-do=undo]")
    expect(page.locator("#pad-1 .pad-hint")).to_be_visible()
