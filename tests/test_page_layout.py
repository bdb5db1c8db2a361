"""The page in a real browser: how things lie, wide and on a phone."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from itertools import pairwise

import pytest
from PIL import Image
from playwright.sync_api import BrowserContext, Page, expect
from visiting import (
    BOXES,
    card,
    classify,
    cut_short,
    name_class,
    open_tab,
    overflow,
    thumbnails,
    two_classes,
    upload,
)

from fewshot.examples import example_task


def test_what_there_is_room_for_is_shown_whole(open_page: Callable[..., Page]) -> None:
    page = open_page(1440, 900)
    page.click("#example-alphabet")  # five pictures a class
    expect(page.locator("#cards .card")).to_have_count(5)
    assert cut_short(page, ".pictures .grid-wrap") == []
    page.click("#example-symbols")  # ten queries, and names of three words
    expect(page.locator("#message")).to_contain_text(example_task("symbols").title)
    assert cut_short(page, ".pictures .grid-wrap, .table-frame") == []
    names = "table.queries td b, .bars li > span:first-child, .evidence figcaption b"
    expect(page.locator(names).filter(has_text="arrow pointing right").first).to_be_visible()
    assert cut_short(page, names) == []
    # The numbers under the pictures of a card stand on one line.
    below = card(page, "clip").locator(".evidence figcaption span")
    assert len({box.bounding_box()["y"] for box in below.all()}) == 1


def test_nothing_lies_over_the_first_drop_zone(fresh: Page) -> None:
    covering = fresh.locator("#queries").evaluate(
        """zone => {
          const box = zone.getBoundingClientRect(), found = [];
          for (let y = box.top + 2; y < Math.min(box.bottom, innerHeight) - 2; y += 5) {
            const top = document.elementFromPoint((box.left + box.right) / 2, y);
            found.push(zone.contains(top));
          }
          return found;
        }"""
    )
    assert len(covering) > 5 and all(covering)


def test_nothing_shines_through_the_bar_with_the_buttons(open_page: Callable[..., Page]) -> None:
    page = open_page(1440, 900)
    page.click("#example-alphabet")
    expect(page.locator("#cards .card")).to_have_count(5)
    bar = page.locator("#actions")
    colour = bar.evaluate("bar => getComputedStyle(bar).backgroundColor")
    assert colour.startswith("rgb(") and "gradient" not in bar.evaluate(
        "bar => getComputedStyle(bar).backgroundImage"
    )
    for scrolled in range(0, 500, 60):
        page.evaluate("y => scrollTo(0, y)", scrolled)
        strangers = bar.evaluate(
            """bar => {
              const box = bar.getBoundingClientRect(), found = [];
              for (let x = box.left + 2; x < box.right - 2; x += 9)
                for (let y = box.top + 2; y < innerHeight - 1; y += 7) {
                  const top = document.elementFromPoint(x, y);
                  if (!bar.contains(top)) found.push(top.className);
                }
              return found;
            }"""
        )
        assert strangers == [], scrolled
    # What has the focus does not lie under it.
    for number in range(1, 6):
        page.get_by_label(f"Name of class {number}", exact=True).focus()
        box = page.get_by_label(f"Name of class {number}", exact=True).bounding_box()
        assert box["y"] + box["height"] <= bar.bounding_box()["y"]


def test_whatever_opens_has_its_triangle_before_its_title(fresh: Page) -> None:
    for button in ("#class-1 .describe button", "#settings button"):
        title, icon = fresh.locator(button).first.locator("span").all()
        assert icon.bounding_box()["x"] < title.bounding_box()["x"]

        def turned() -> list[float]:
            matrix = icon.evaluate("e => getComputedStyle(e).transform")  # noqa: B023
            return [round(float(x)) + 0.0 for x in re.findall(r"-?[\d.e-]+", matrix)[:2]]

        assert turned() == [0, -1]  # from down to the right
        fresh.locator(button).first.click()
        expect(icon).not_to_have_css("transform", "matrix(0, -1, 1, 0, 0, 0)")


def test_how_far_a_run_is_can_be_seen_in_the_dark(page: Page) -> None:
    page.locator("#actions").evaluate(
        """actions => {
          document.body.classList.add("dark");
          actions.insertAdjacentHTML(
            "beforeend", '<label class="progress"><progress value="0.5"></progress></label>');
        }"""
    )
    bar = Image.open(io.BytesIO(page.locator("#actions progress").screenshot())).convert("RGB")
    done, left = (luminance(bar.getpixel((bar.width * x // 4, bar.height // 2))) for x in (1, 3))
    assert (done + 0.05) / (left + 0.05) >= 3  # WCAG 2.2, 1.4.11


def luminance(pixel: tuple[int, int, int]) -> float:
    """Relative, as WCAG 2.2 has it."""
    shares = (value / 255 for value in pixel)
    linear = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return sum(w * s for w, s in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_all_columns_are_in_sight_and_the_answers_come_into_view(
    page: Page, drawings: Callable
) -> None:
    two_classes(page, drawings)
    name_class(page, 1, "A_folder_of_" + "very_long_names_" * 3)
    name_class(page, 2, "Incomprehensibilities" * 3)
    upload(page, "#queries", drawings(14, [5]))
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    classify(page)
    expect(page.locator("#results h2")).to_be_in_viewport()
    frame = page.locator(".table-frame")
    assert frame.evaluate("f => f.scrollWidth <= f.clientWidth")
    heads = [head.bounding_box() for head in page.locator("table.queries thead th").all()[1:6]]
    assert max(h["width"] for h in heads) - min(h["width"] for h in heads) < 2


def test_wherever_the_answers_lie_below_one_is_taken_there(open_page: Callable[..., Page]) -> None:
    page = open_page(820, 700)  # a tablet
    page.click("#example-alphabet")
    expect(page.locator(".question")).to_be_in_viewport(ratio=0.1)
    given, found = page.locator("#given").bounding_box(), page.locator("#results").bounding_box()
    assert given["y"] + given["height"] <= found["y"]


def test_the_crosses_leave_the_pictures_in_sight(
    window: BrowserContext, page_url: str, drawings: Callable
) -> None:
    phone = window.browser.new_context(
        viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True
    )
    page = phone.new_page()
    page.goto(page_url)
    upload(page, "#pictures-1", drawings(20, range(5)))
    cross = page.locator("#pictures-1 .delete-button").first
    expect(cross).to_have_css("opacity", "1")
    parts = page.locator("#pictures-1 .gallery-item").first.locator(
        ":scope > *, .delete-button > svg"
    )
    picture, button, mark = parts.evaluate_all(BOXES)
    assert min(button["width"], button["height"]) >= 24  # WCAG 2.2, 2.5.8
    width = mark["x"] + mark["width"] - picture["x"]
    height = picture["y"] + picture["height"] - mark["y"]
    assert width * height < 0.06 * picture["width"] * picture["height"]
    cross.tap()
    expect(thumbnails(page, "#pictures-1")).to_have_count(4)
    phone.close()


def test_a_phone_shows_everything_below_each_other(open_page: Callable[..., Page]) -> None:
    page = open_page(390, 844)
    assert overflow(page) <= 0
    # In reach wherever one is in the inputs, without being scrolled to.
    page.locator("#class-1").scroll_into_view_if_needed()
    button = page.locator("#classify").bounding_box()
    assert 0 <= button["y"] <= 844 - button["height"]
    page.click("#example-alphabet")
    expect(page.locator("#cards .card")).to_have_count(5)
    expect(page.locator(".question")).to_be_in_viewport(ratio=0.1)
    assert overflow(page) <= 0
    # All at once: the page is still scrolling to the results.
    boxes = page.locator(".card").evaluate_all(BOXES)
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= 390 for box in boxes)
    assert all(a["y"] + a["height"] <= b["y"] for a, b in pairwise(boxes))
    # Titles on one line, though the last ones are out of sight.
    heads = page.locator("table.queries thead tr").first.bounding_box()
    assert heads["height"] < 40
    # Scrolled to them, one still sees whose answers they are.
    frame = page.locator(".table-frame")
    row = frame.locator("tbody tr").first.locator("th, td:last-child")
    frame.evaluate("frame => (frame.scrollLeft = 1000)")
    picture, last = row.evaluate_all(BOXES)
    assert picture["x"] == pytest.approx(frame.bounding_box()["x"], abs=2)
    assert 100 < picture["x"] + picture["width"] < last["x"] < 390
    assert page.locator("footer").inner_text().split() == ["Settings"]  # and no dot before it
    open_tab(page, "How it works")
    expect(page.locator("#about .katex-display").first).to_be_visible()
    assert overflow(page) <= 0
    cells = page.locator("#about td")  # of sentences, which columns would break within words
    assert min(box["width"] for box in cells.evaluate_all(BOXES)) > 300


def test_a_table_that_does_not_fit_says_that_it_scrolls(answered: Page) -> None:
    frame = answered.locator(".table-frame")
    hint = "frame => getComputedStyle(frame.nextElementSibling, '::after').content"
    for width, fits in [(1280, True), (1024, True), (900, False), (390, False)]:
        answered.set_viewport_size({"width": width, "height": 800})
        assert frame.evaluate("frame => frame.scrollWidth <= frame.clientWidth") is fits
        assert ("The table scrolls sideways" in frame.evaluate(hint)) is not fits


def test_the_titles_of_examples_stay_in_their_buttons(page: Page) -> None:
    outside = "all => all.filter(one => one.scrollWidth > one.clientWidth).length"
    assert page.locator("#examples button").count() == 7
    for width in (320, 390, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.locator("#examples button").evaluate_all(outside) == 0
        assert overflow(page) <= 0


def test_what_has_the_focus_is_seen_to_have_it(fresh: Page) -> None:
    """Fields and choices, too, whose ring Gradio takes away; of a choice its label shows it."""
    fresh.locator("#examples button").last.focus()
    ringed = """() => {
      const own = document.activeElement;
      const shown = own.type === "radio" ? own.closest("label") : own;
      return [own.type, getComputedStyle(shown).outlineStyle !== "none"];
    }"""
    seen = []
    for _ in range(3):
        fresh.keyboard.press("Tab")
        seen.append(fresh.evaluate(ringed))
    assert seen == [["radio", True], ["textarea", True], ["submit", True]]
