"""The page in a real browser: the Evaluate tab."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from conftest import png
from playwright.sync_api import Page, expect
from visiting import open_tab, overflow

from fewshot.ui import evaluate_tab
from fewshot.ui.evaluate_report import REMEMBERED


@pytest.fixture
def tab(open_page: Callable[..., Page]) -> Callable[..., Page]:
    """Open the tab at a width and height, with little to measure."""

    def open_at(width: int = 1280, height: int = 900) -> Page:
        page = open_page(width, height)
        open_tab(page, "Evaluate")
        expect(page.locator("#evaluate")).to_be_visible()
        for title in ("Siamese", "Triplet", "Fine-tuned prototype", "Prototype"):
            page.locator("#evaluate-methods").get_by_label(title, exact=True).uncheck()
        page.locator("#evaluate-against input").click()
        page.get_by_role("option", name="None", exact=True).click()
        page.fill("#evaluate-episodes input", "40")
        return page

    return open_at


def evaluate(page: Page) -> None:
    page.click("#evaluate")
    expect(page.locator("#evaluate")).to_be_disabled()
    expect(page.locator("#evaluate")).to_be_enabled()
    expect(page.locator("#evaluate-csv")).to_be_visible()
    expect(page.locator("#evaluate-csv")).to_be_enabled()
    expect(page.locator("#evaluate-confusion-of")).to_be_visible()
    expect(page.locator("#evaluate-stop")).to_be_hidden()


def test_the_example_gives_a_table_plots_and_pictures(
    tab: Callable[..., Page], zip_of: Callable
) -> None:
    page = tab()
    page.fill("#evaluate-ways input", "1")
    page.click("#evaluate")
    expect(page.locator("#evaluate-problem-said")).to_contain_text("“Ways” cannot be 1")
    page.fill("#evaluate-ways input", "20")
    expect(page.locator("#evaluate-problem-said .notice")).to_have_count(0)
    evaluate(page)
    outdated = page.locator("#evaluate-outdated .notice")
    expect(outdated).to_have_count(0)
    page.fill("#evaluate-ways input", "5")
    expect(outdated).to_have_text("These answers are for what was given before: press Evaluate.")
    expect(page.locator("#evaluate-scores")).to_have_css("opacity", "0.5")
    page.fill("#evaluate-ways input", "20")  # taken back
    expect(outdated).to_have_count(0)
    page.get_by_label("My zip").check()
    page.set_input_files("#evaluate-zip input[type=file]", zip_of("unused.zip", 2, 2))
    expect(page.locator("#evaluate-zip")).to_contain_text("unused")
    expect(outdated).to_have_count(1)
    page.get_by_label("The example").check()
    expect(outdated).to_have_count(0)
    # Again, as soon as it can be pressed: it runs, and its figures are not called outdated.
    page.fill("#evaluate-ways input", "10")
    evaluate(page)
    expect(outdated).to_have_count(0)
    expect(page.locator("#evaluate-scores")).to_have_css("opacity", "1")
    row = page.locator("#evaluate-scores tr[data-method=pixels]")
    expect(row.locator(".accuracy")).to_have_text(re.compile(r"^\d+\.\d\d ± \d\.\d\d %$"))
    # Three parts of one bar: what is below the interval, and its two halves above.
    bars = page.locator("#evaluate-bars .mark-rect path")
    expect(bars).to_have_count(3)
    # All at once: the page may be scrolling to them.
    above, up_to, below = bars.evaluate_all(
        """(parts) => ["#f0a94a", "#a3aee0", "#5566bb"].map((colour) => {
          const part = parts.find((each) => each.getAttribute("fill") === colour);
          return [part.getBoundingClientRect().y, part.getBoundingClientRect().height];
        })"""
    )
    assert above[0] < up_to[0] < below[0] and 0 < above[1] < below[1]
    cell = page.locator("#evaluate-matrix td.wrong button").first
    count = int(cell.inner_text())
    true, answered = re.match(r"(.+), answered as (.+): \d+", cell.get_attribute("title")).groups()
    cell.click()
    expect(page.locator("#evaluate-behind figcaption")).to_contain_text(
        f"{true} was answered as {answered}"
    )
    expect(cell).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#said-aloud")).to_contain_text(f"{true} was answered as {answered}")
    assert 1 <= page.locator("#evaluate-behind img").count() <= min(count, REMEMBERED)
    with page.expect_download() as download:
        page.click("#evaluate-csv")
    assert Path(download.value.path()).read_text().startswith("ways,shots,method,accuracy")


def test_what_is_out_of_sight_asks_for_nothing(tab: Callable[..., Page]) -> None:
    page = tab()
    page.get_by_label("Omniglot, evaluation characters").check()
    page.locator("#evaluate-within input").check()
    page.get_by_label("The example").check()
    expect(page.locator("#evaluate-within")).to_be_hidden()
    evaluate(page)  # which has no alphabets
    expect(page.locator("#evaluate-problem-said .notice")).to_have_count(0)


def test_what_makes_no_difference_does_not_count_as_a_change(tab: Callable[..., Page]) -> None:
    held = f"(values) => ({evaluate_tab.EVALUATE_HELD})(...values)"
    compare = partial(tab().evaluate, held)
    zipped = {"path": "a/own.zip"}
    first = compare([None, "invented", None, ["siamese", "pixels"], "drawings", 5, ""])
    assert compare(["", "invented", zipped, ["pixels", "siamese"], "drawings", 5, None]) == first
    assert compare([None, "zip", zipped, ["siamese"], 5]) != compare(
        [None, "zip", None, ["siamese"], 5]
    )
    assert compare([None, "invented", None, ["siamese"], 5]) != compare(
        [None, "invented", None, [], 5]
    )


def test_a_laptop_shows_what_was_asked_for(tab: Callable[..., Page]) -> None:
    page = tab(1280, 720)
    page.evaluate("scrollTo(0, 0)")
    for absent in ("#evaluate-csv", "#evaluate-json", "#evaluate-confusion-of"):
        expect(page.locator(absent)).to_be_hidden()
    expect(page.locator("#evaluate")).to_be_in_viewport(ratio=1)
    page.fill("#evaluate-ways input", "20")
    page.evaluate("scrollTo(0, 9999)")
    evaluate(page)
    expect(page.locator("#evaluate-message .notice")).to_be_in_viewport(ratio=1)
    expect(page.locator("#evaluate-scores table")).to_be_in_viewport(ratio=1)
    page.locator("#evaluate-matrix td button").first.click()  # with the matrix as high as it gets
    expect(page.locator("#evaluate-behind figure")).to_be_in_viewport(ratio=1)


def test_a_sweep_draws_lines(tab: Callable[..., Page]) -> None:
    page = tab()
    page.get_by_label("Over shots").check()
    expect(page.locator("#evaluate-shots input")).to_be_disabled()
    evaluate(page)
    expect(page.locator("#evaluate-scores tr.task")).to_have_count(4)
    expect(page.locator("#evaluate-lines .mark-line path").first).to_be_visible()
    expect(page.locator("#evaluate-bars")).to_be_hidden()
    table = page.locator("#evaluate-scores .scores-frame")
    for width, goes_on in [(900, True), (1440, False), (390, True)]:
        page.set_viewport_size({"width": width, "height": 900})
        expect(page.locator("#evaluate-scores .goes-on")).to_have_count(int(goes_on))
        assert table.evaluate("e => e.scrollWidth > e.clientWidth + 1") == goes_on


def test_a_zip_that_is_still_on_its_way_is_waited_for(
    tab: Callable[..., Page], tmp_path: Path
) -> None:
    page = tab()
    page.get_by_label("My zip").check()
    page.evaluate("globalThis.uploads++")  # of which the field says nothing yet
    page.click("#evaluate")
    page.wait_for_timeout(500)
    expect(page.locator("#evaluate")).to_be_disabled()
    said = page.locator("#evaluate-problem-said")
    expect(said).to_have_text("")
    broken = tmp_path / "broken.zip"
    broken.write_bytes(b"PK no zip")
    page.set_input_files("#evaluate-zip input[type=file]", str(broken))
    expect(page.locator("#evaluate-zip")).to_contain_text("broken")
    page.evaluate("globalThis.uploads--")
    expect(said).to_contain_text("is not a zip file or is damaged")
    expect(page.locator("#evaluate")).to_be_enabled()


def test_an_own_zip_on_a_phone(tab: Callable[..., Page], zip_of: Callable, tmp_path: Path) -> None:
    page = tab(390, 844)
    assert overflow(page) <= 0
    expect(page.locator("#evaluate")).to_be_in_viewport(ratio=1)
    assert page.locator("#evaluate-against").bounding_box()["width"] > 250  # for a method's title
    page.get_by_label("My zip").check()
    page.click("#evaluate")
    expect(page.locator("#evaluate-problem-said")).to_contain_text("There is no zip yet")
    # Told when the run is over: until then Gradio passes over a click.
    expect(page.locator("[data-testid=toast-body]")).to_contain_text("There is no zip yet")
    broken = tmp_path / "broken.zip"
    broken.write_bytes(b"PK no zip")
    page.set_input_files("#evaluate-zip input[type=file]", str(broken))
    expect(page.locator("#evaluate-zip-holds")).to_contain_text("is not a zip file or is damaged")
    page.click("#evaluate")
    expect(page.locator("#evaluate-problem-said")).to_contain_text(
        "is not a zip file or is damaged"
    )
    page.get_by_label("Clear").first.click()
    page.set_input_files(
        "#evaluate-zip input[type=file]", zip_of("own.zip", 6, 4, {"x/y.png": png(3, 3)})
    )
    expect(page.locator("#evaluate-zip")).to_contain_text("own")
    expect(page.locator("#evaluate-zip-holds")).to_contain_text("7 classes of 1 to 4 pictures")
    page.fill("#evaluate-queries input", "2")
    evaluate(page)
    expect(page.locator("#evaluate-message")).to_contain_text("7 classes with 25 pictures: own.zip")
    expect(page.locator("#evaluate-matrix tbody tr")).to_have_count(6)  # "x" has too few
    page.locator("#evaluate-matrix td.right button").first.click()
    expect(page.locator("#evaluate-behind img").first).to_be_visible()
    assert overflow(page) <= 0
