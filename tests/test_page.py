"""The page in a real browser, from the outside: what a visitor sees and can do."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps
from playwright.sync_api import BrowserContext, Locator, Page, Route, expect
from playwright.sync_api import Error as PlaywrightError

from fewshot.class_folders import read_class_folders
from fewshot.class_names import quoted
from fewshot.examples import EXAMPLE_TASKS, example_task
from fewshot.ui.classes_panel import MAX_SLOTS
from fewshot.ui.evaluate_data import omniglot_is_here
from fewshot.ui.known_names import known_names
from fewshot.ui.outdated import CLASSIFY_HELD, PLAINLY_HELD

WAIT = 30_000  # milliseconds; waiting ends as soon as there is something to see
BOXES = "all => all.map(e => e.getBoundingClientRect())"
METHODS = ["siamese", "triplet", "finetune", "clip", "clip-adapter"]
# Gradio's own: a File's upload in a browser without a progress stream.
KNOWN_NOISE = ("Method not implemented", "Vega", "favicon")


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
        expect(page.locator("#classify")).to_be_visible(timeout=WAIT)
        return page

    yield open_at
    told = [page.content() for page in opened]
    for page in opened:
        page.close()
    assert not any("Traceback" in content for content in told)
    assert complaints == []


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
        expect(page.locator("#cards .card")).to_have_count(5, timeout=WAIT)
        yield page


def toast(page: Page) -> Locator:
    return page.locator("[data-testid=toast-body]")


def thumbnails(page: Page, gallery: str) -> Locator:
    return page.locator(f"{gallery} .thumbnail-item")


def upload(page: Page, gallery: str, files: list[str], expected: int | None = None) -> None:
    """Give a gallery more pictures and wait until it shows as many as expected."""
    before = thumbnails(page, gallery).count()
    page.set_input_files(f"{gallery} input[type=file]", files)
    expect(thumbnails(page, gallery)).to_have_count(expected or before + len(files), timeout=WAIT)


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
    expect(page.locator("#cards .card")).to_have_count(5, timeout=WAIT)


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


# Starting


def test_the_page_explains_itself_before_anything_is_given(fresh: Page) -> None:
    expect(fresh.locator("#message")).to_contain_text("Press Classify")
    expect(fresh.locator(".examples button")).to_have_count(len(EXAMPLE_TASKS))
    expect(fresh.locator(".card")).to_have_count(0)
    assert n_slots(fresh) == 2


def test_how_it_works_tells_of_every_method_with_formula_and_paper(fresh: Page) -> None:
    open_tab(fresh, "How it works")
    about = fresh.locator("#about")
    for title in ("Siamese", "Triplet", "Fine-tuned prototype", "CLIP zero-shot", "CLIP adapter"):
        expect(about.get_by_role("heading", name=title, exact=True)).to_be_visible()
    expect(about.locator(".katex-display")).to_have_count(7)
    assert about.get_by_text("Falls short:").count() == 5
    assert about.locator("a[href*='arxiv.org']").count() >= 6
    expect(about.locator("a[href$='2207.09519']")).to_have_count(1)
    expect(about.get_by_role("heading", name="The small embedded model")).to_be_visible()


def test_how_it_works_lists_the_names_that_the_embedded_clip_knows(fresh: Page) -> None:
    known = known_names()
    open_tab(fresh, "How it works")
    expect(fresh.locator("#about table").last).to_be_visible()
    expect(fresh.locator("#about .known")).to_have_count(1 if known else 0)
    if known:
        expect(fresh.locator("#about .known p").first).to_be_hidden()
        fresh.click("#about .known summary")
        for names in known.values():
            expect(fresh.locator("#about .known")).to_contain_text(f"{names[0]}, {names[1]},")


# Examples


def test_an_example_is_one_click_from_five_equal_cards(answered: Page) -> None:
    task = example_task("alphabet")
    assert [c.get_attribute("data-method") for c in answered.locator(".card").all()] == METHODS
    assert class_names(answered) == list(task.support.classes)
    assert thumbnails(answered, "#queries").count() == len(task.queries)
    expect(answered.locator("#message")).to_contain_text(task.description)
    assert labels(answered) == [task.answers[0]] * 3
    for method in METHODS[:3]:
        assert card(answered, method).locator(".bars li").count() == 5
        assert card(answered, method).locator(".evidence img").count() == 5
        expect(card(answered, method).locator(".mark.right")).to_be_visible()
    for method in METHODS:
        assert card(answered, method).locator(".bars li").count() == 5
        shown = card(answered, method).locator(".raw").all_inner_texts()
        assert all(re.fullmatch(r"−?\d+\.\d+", own) for own in shown) and len(shown) == 5
        assert re.fullmatch(r"[\d,.]+ ms", card(answered, method).locator(".time").inner_text())
    assert "same: 0." in card(answered, "siamese").locator(".evidence").inner_text()
    assert "Before fine-tuning: " in card(answered, "finetune").inner_text()
    told = {card(answered, method).locator(".label b").inner_text() for method in METHODS}
    verdict = "All 5 methods agree" if len(told) == 1 else "They disagree"
    expect(answered.locator(".question")).to_contain_text(verdict)
    boxes = [c.bounding_box() for c in answered.locator(".card").all()]
    assert max(b["width"] for b in boxes) - min(b["width"] for b in boxes) < 1
    assert max(b["height"] for b in boxes) - min(b["height"] for b in boxes) < 1
    expect(answered.locator(".answer")).to_contain_text("small embedded model")


def test_similarities_are_a_click_away_with_their_numbers(answered: Page) -> None:
    task = example_task("alphabet")
    expect(answered.locator(".heat").first).to_be_hidden()
    answered.click(".similarities summary")
    names, shown, pictures = answered.locator(".heat").all()
    expect(names.locator("tbody tr")).to_have_count(len(task.support.classes))
    expect(names.locator("tbody td")).to_have_count(len(task.support.classes) * len(task.queries))
    for of_pictures, columns in ((shown, task.support.classes), (pictures, task.queries)):
        expect(of_pictures.locator("tbody tr")).to_have_count(len(task.support.pictures))
        expect(of_pictures.locator("thead th")).to_have_count(len(columns))
    assert re.fullmatch(r"−?\d\.\d\d", pictures.locator("tbody td").first.inner_text())
    head = shown.locator("thead th > span").first
    head.evaluate("head => (head.textContent = 'long '.repeat(16))")
    assert head.bounding_box()["width"] < 150  # its title has it whole
    # The nearest picture of the first query, as its card has it.
    column = pictures.locator("tbody td:nth-child(2)").all_inner_texts()
    nearest = card(answered, "finetune").locator(".evidence figcaption span").first.inner_text()
    assert max(map(as_float, column)) == as_float(nearest)
    colours = {
        cell.evaluate("cell => getComputedStyle(cell).backgroundColor")
        for cell in names.locator("tbody td").all()[:6]
    }
    assert len(colours) > 1


def test_names_alone_find_names_for_pictures(page: Page, drawings: Callable) -> None:
    page.get_by_role("tab", name="Names alone").click()
    page.click("#find-names")
    expect(toast(page).first).to_contain_text("two or more names")
    names = ["heart", "star", "fish", "letter a", "letter b", "<b>bold</b>", "digit nine"]
    page.fill("#names textarea", "\n".join([*names, "", "star"]))
    upload(page, "#names-queries", drawings(4, range(2)))
    page.click("#find-names")
    shown = page.locator(".card.named")
    expect(shown).to_have_count(2, timeout=WAIT)
    expect(page.locator("#names-message")).to_contain_text("7 names, 2 pictures. 1 repeated")
    for one in shown.all():
        assert one.locator(".bars li").count() == 5
        assert set(one.locator(".bars li > span:first-child").all_inner_texts()) <= set(names)
    expect(page.locator(".heat tbody td").first).to_have_text(re.compile(r"−?\d\.\d\d"))
    outdated = page.locator("#names-outdated .notice")
    expect(outdated).to_have_count(0)
    page.fill("#names textarea", "heart\nstar")
    expect(outdated).to_contain_text("press Find names")
    expect(page.locator("#names-results")).to_have_css("opacity", "0.5")
    page.get_by_role("tab", name="Classify").click()
    page.locator("#settings button").first.click()
    expect(page.locator("#clip-status")).to_contain_text("ms a picture here")


def test_a_description_changes_what_clip_says(page: Page, drawings: Callable) -> None:
    two_classes(page, drawings)
    classify(page)
    before = [card(page, m).locator(".share").first.get_attribute("title") for m in METHODS]
    page.click("#class-1 .describe button")
    page.get_by_label("Description of class 1").fill("a ring with a tail, drawn in one stroke")
    page.click("#classify")
    first = card(page, "clip").locator(".share").first
    expect(first).not_to_have_attribute("title", before[3], timeout=WAIT)
    after = [card(page, m).locator(".share").first.get_attribute("title") for m in METHODS]
    assert after[:3] == before[:3]


def test_using_the_other_queries_is_said(page: Page) -> None:
    page.click("#example-look-alikes")
    line = card(page, "finetune").locator(".line")
    expect(line).to_contain_text("Before fine-tuning", timeout=WAIT)
    expect(line).not_to_contain_text("other queries")
    page.locator("#settings button").first.click()
    page.locator("#transductive input").check()
    page.click("#classify")
    expect(line).to_contain_text("Also used the other queries", timeout=WAIT)


def test_each_example_has_a_button_and_its_own_inputs(page: Page) -> None:
    shown = [button.get_attribute("id") for button in page.locator(".examples button").all()]
    assert shown == [f"example-{key}" for key in EXAMPLE_TASKS]
    for key in list(EXAMPLE_TASKS)[-2:]:  # what the others put in: test_ui.py
        page.click(f"#example-{key}")
        shown_with(page, key)


def test_the_first_model_found_is_no_other_choice_than_none_yet(fresh: Page) -> None:
    same = fresh.evaluate(
        f"""(slots) => {{
          const found = globalThis.firstModel, none = Array(3 * slots).fill(null);
          const tabs = [
            [{CLASSIFY_HELD}, (model) => ["", "drawings", [], 2, ...none, 1, model]],
            [{PLAINLY_HELD}, (model) => [model, "heart", "photo", []]],
          ];
          const same = tabs.map(([held, now]) => {{
            delete globalThis.firstModel;
            const before = held(...now(null));
            return ["first", "other", "first"].map((model) => held(...now(model)) === before);
          }});
          globalThis.firstModel = found;
          return same;
        }}""",
        MAX_SLOTS,
    )
    assert same == [[True, False, True]] * 2


def test_while_an_example_runs_no_other_begins(page: Page) -> None:
    first, second, third = (list(EXAMPLE_TASKS)[i] for i in (0, 3, 1))
    # All in the browser, so that none of it waits for what the run does meanwhile.
    locked = page.evaluate(
        """async (ids) => {
          const [first, ...others] = ids.map((id) => document.getElementById(id));
          first.click();
          const moment = () => new Promise((done) => setTimeout(done, 1));
          for (let i = 0; i < 5000 && !first.disabled; i++) await moment();
          others.forEach((other) => other.click());
          return others.map((other) => other.disabled);
        }""",
        [*(f"example-{key}" for key in (first, second, third)), "classify", "clear-all"],
    )
    assert locked == [True] * 4
    shown_with(page, first)
    # And in turn, each as soon as it can be had: the last one is what stays.
    for key in (second, third):
        page.click(f"#example-{key}")
    expect(page.locator("#message")).to_contain_text(example_task(third).title, timeout=WAIT)
    shown_with(page, third)


def shown_with(page: Page, key: str) -> None:
    """Check that an example's inputs and results stand beside each other, and that all is idle."""
    task = example_task(key)
    expect(page.locator("#message")).to_contain_text(task.title, timeout=WAIT)
    expect(page.locator("#stop")).to_be_hidden()
    for button in ("#classify", "#clear-all", *(f"#example-{key}" for key in EXAMPLE_TASKS)):
        expect(page.locator(button)).to_be_enabled()
    expect(page.locator("#progress progress")).to_have_count(0)
    assert class_names(page) == list(task.support.classes)
    expect(thumbnails(page, "#queries")).to_have_count(len(task.queries))
    assert set(labels(page)) <= set(task.support.classes)
    rows = page.locator("tr[data-query]")
    expect(rows).to_have_count(len(task.queries))
    expect(outdated(page)).to_have_count(0)


# Answers that are no longer those to what is shown


def outdated(page: Page) -> Locator:
    return page.locator("#outdated .notice")


def test_answers_to_what_is_no_longer_shown_are_marked(page: Page, drawings: Callable) -> None:
    two_classes(page, drawings)
    expect(outdated(page)).to_have_count(0)  # nothing was answered yet
    classify(page)
    expect(outdated(page)).to_have_count(0)
    faded = page.locator("#cards")
    expect(faded).to_have_css("opacity", "1")
    name_class(page, 1, "Loops")
    expect(outdated(page)).to_have_text(
        "These answers are for what was given before: press Classify."
    )
    expect(faded).to_have_css("opacity", "0.5")
    page.locator("#downloads").scroll_into_view_if_needed()  # far below
    expect(outdated(page)).to_be_in_viewport()
    name_class(page, 1, "Loop")  # taken back
    expect(outdated(page)).to_have_count(0)
    page.locator("#settings button").first.click()  # which changes nothing
    page.locator("#transductive input").check()
    expect(outdated(page)).to_have_count(1)
    page.locator("#transductive input").uncheck()
    expect(outdated(page)).to_have_count(0)
    page.get_by_role("radio", name="Photos").check()
    expect(outdated(page)).to_have_count(1)
    page.click("#classify")
    expect(outdated(page)).to_have_count(0, timeout=WAIT)
    expect(faded).to_have_css("opacity", "1")


def test_whatever_is_changed_marks_the_answers(
    page: Page, drawings: Callable, zip_of: Callable
) -> None:
    two_classes(page, drawings)
    page.locator("#settings button").first.click()
    page.click("#class-1 .describe button")

    def more_queries() -> None:
        upload(page, "#queries", drawings(14, range(8, 9)))

    def other_classes() -> None:
        import_zip(page, zip_of("many.zip", n_classes=12, shots=1))
        expect(page.locator(".class-list li")).to_have_count(12, timeout=WAIT)

    temperature = page.get_by_label("Temperature")
    description = page.get_by_label("Description of class 1")
    others = page.locator("#transductive input")
    # Each with what takes it back, where that is quicker than new answers.
    changes = [
        (lambda: temperature.fill("3"), None),
        (lambda: page.click("#reset-settings"), lambda: temperature.fill("3")),
        (others.check, others.uncheck),
        (lambda: description.fill("a ring"), lambda: description.fill("")),
        (more_queries, None),
        (lambda: upload(page, "#pictures-2", drawings(14, range(5, 6))), None),
        (other_classes, None),
        (lambda: page.click("#drop-list"), None),
    ]
    valid = False
    for change, take_back in changes:
        if not valid:
            page.click("#classify")
            expect(page.locator("#stop")).to_be_hidden()
            expect(page.locator("#classify")).to_be_enabled(timeout=WAIT)
            expect(page.locator("#cards .card")).to_have_count(5, timeout=WAIT)
        expect(outdated(page)).to_have_count(0)
        change()
        expect(outdated(page)).to_have_count(1)
        if valid := take_back is not None:
            take_back()
    page.click("#add-class")  # empty, it is no class: nothing else is asked than before
    page.click("#clear-all")
    expect(outdated(page)).to_have_count(0)
    expect(page.locator(".card")).to_have_count(0)


def test_a_stopped_run_leaves_the_old_answers_marked(
    page: Page, zip_of: Callable, drawings: Callable
) -> None:
    two_classes(page, drawings)
    classify(page)
    import_zip(page, zip_of("many.zip", n_classes=12, shots=12))
    expect(outdated(page)).to_have_count(1, timeout=WAIT)
    page.click("#classify")
    stop_at_once(page)
    expect(page.locator("#problem-said")).to_contain_text("Stopped")
    expect(page.locator("#stop")).to_be_hidden()
    for button in ("#classify", "#clear-all", "#example-alphabet"):
        expect(page.locator(button)).to_be_enabled()
    expect(outdated(page)).to_have_count(1)


# Many queries


def test_a_row_of_the_table_shows_its_cards(answered: Page) -> None:
    task = example_task("alphabet")
    rows = answered.locator("tr[data-query]")
    expect(rows).to_have_count(len(task.queries), timeout=WAIT)
    other = next(i for i, answer in enumerate(task.answers) if answer != task.answers[0])
    expect(rows.nth(other)).to_contain_text(task.answers[other])
    rows.nth(other).locator("td").first.click()
    expect(answered.locator(".question small")).to_have_text(task.queries[other].name)
    assert labels(answered) == [task.answers[other]] * 3
    expect(rows.nth(other)).to_have_class("chosen")
    rows.nth(0).get_by_role("button").press("Enter")  # by keyboard too
    expect(answered.locator(".question small")).to_have_text(task.queries[0].name)
    assert labels(answered) == [task.answers[0]] * 3
    # Two at once: what is marked in the end is what is shown.
    answered.evaluate(
        "numbers => numbers.forEach(i => document.querySelectorAll('tr[data-query]')[i].click())",
        [1, other],
    )
    expect(rows.nth(other)).to_have_class("chosen")
    expect(answered.locator(".question small")).to_have_text(task.queries[other].name)
    answered.wait_for_timeout(500)  # nor does the other's answer come later
    expect(answered.locator(".question small")).to_have_text(task.queries[other].name)
    rows.nth(0).locator("td").first.click()
    expect(answered.locator(".question small")).to_have_text(task.queries[0].name)
    assert (
        f"{len(task.queries)} of {len(task.queries)} right"
        in answered.locator(".tally").inner_text()
    )


def test_what_the_answers_rest_on_is_a_click_away(page: Page) -> None:
    look = page.locator("#look")
    expect(page.locator("#message")).to_be_visible()
    expect(look).to_be_hidden()
    page.click("#example-alphabet")
    row = page.locator("tr[data-query]").nth(1)
    row.click(timeout=WAIT)
    expect(page.locator(".question small")).to_have_text("query-2.png")
    look.click()
    expect(page.locator("#stop")).to_be_visible()
    page.locator("tr[data-query]").nth(0).click()  # meanwhile: what is looked at stays the other
    expect(page.locator(".question small")).to_have_text("query-1.png")
    expect(page.locator("#stop")).to_be_hidden(timeout=2 * WAIT)
    expect(page.locator("#classify")).to_be_enabled()
    expect(page.locator(".question small")).to_have_text("query-1.png")
    expect(page.locator(".card .look")).to_have_count(0)
    row.click()
    expect(page.locator(".card .look")).to_have_count(5)
    expect(page.locator(".question small")).to_have_text("query-2.png")
    for method in ("siamese", "finetune", "clip-adapter"):
        label = card(page, method).locator(".label b").inner_text()
        expect(card(page, method).locator(".look p")).to_contain_text(label)
        expect(card(page, method).locator(".look .veil")).to_be_visible()
    expect(page.locator("#stop")).to_be_hidden()
    expect(page.locator("#classify")).to_be_enabled()
    # Of other inputs than the answers are for, nothing is said.
    page.get_by_label("Name of class 1", exact=True).fill("Other")
    expect(page.locator("#outdated")).to_contain_text("press Classify")
    look.click()
    expect(page.locator("#problem-said")).to_contain_text("press Classify first", timeout=WAIT)
    expect(page.locator(".card .look")).to_have_count(5)
    expect(look).to_be_enabled()


def test_looking_can_be_stopped(answered: Page) -> None:
    answered.locator("#look").click()
    stop_at_once(answered)
    expect(answered.locator("#problem-said")).to_contain_text("Stopped")
    expect(answered.locator("#look")).to_be_enabled()
    expect(answered.locator("#look-progress")).to_be_hidden()
    expect(answered.locator(".card .look")).to_have_count(0)


def test_the_downloads_hold_what_is_shown(page: Page, tmp_path: Path) -> None:
    page.click("#example-one-shot")
    expect(page.locator("#cards .card")).to_have_count(5, timeout=WAIT)
    files = {}
    for kind in ("CSV", "JSON"):
        with page.expect_download() as download:
            page.click(f"#as-{kind}")
        files[kind] = tmp_path / kind
        download.value.save_as(files[kind])
        assert download.value.suggested_filename == f"results.{kind.lower()}"
    task = example_task("one-shot")
    report = json.loads(files["JSON"].read_text("utf-8"))
    assert report["classes"] == list(task.support.classes)
    assert [query["file"] for query in report["queries"]] == [q.name for q in task.queries]
    predictions = report["queries"][0]["predictions"]
    assert [predictions[method]["label"] for method in METHODS[:3]] == labels(page)
    assert report["unavailable"] == {}
    assert set(report["encoders"]) == set(predictions)
    assert report["preset"] == "drawings"
    assert report["settings"]["steps"] is None and report["settings"]["model"] == "embedded"
    rows = list(csv.DictReader(files["CSV"].read_text("utf-8").splitlines()))
    best = [row for row in rows if row["query"] == task.queries[0].name and row["rank"] == "1"]
    assert {row["method"]: row["class"] for row in best} == {
        method: prediction["label"] for method, prediction in predictions.items()
    }
    shown = card(page, "triplet").locator(".share").first.get_attribute("title")
    assert float(shown) == pytest.approx(
        predictions["triplet"]["probabilities"][predictions["triplet"]["label"]], abs=1e-4
    )


# One's own pictures


def test_classes_and_sorted_pictures_can_be_taken_away(page: Page, tmp_path: Path) -> None:
    expect(page.locator("#sorting")).to_be_hidden()
    page.click("#example-alphabet")
    expect(page.locator("tr[data-query]").first).to_be_visible(timeout=WAIT)
    task = example_task("alphabet")
    with page.expect_download() as classes:
        page.click("#save-classes")
    classes.value.save_as(tmp_path / "classes.zip")
    found = read_class_folders(tmp_path / "classes.zip").classes
    assert {name: len(pictures) for name, pictures in found} == dict.fromkeys(
        task.support.classes, 5
    )
    with page.expect_download() as queries:
        page.click("#sort")
    queries.value.save_as(tmp_path / "sorted.zip")
    found = read_class_folders(tmp_path / "sorted.zip").classes
    given = {query.digest: answer for query, answer in zip(task.queries, task.answers, strict=True)}
    assert {p.digest: name for name, pictures in found for p in pictures} == given
    page.click("#clear-all")
    expect(page.locator("#pictures-5")).to_be_hidden()
    import_zip(page, str(tmp_path / "classes.zip"))
    expect(thumbnails(page, "#pictures-5")).to_have_count(5, timeout=WAIT)
    assert sorted(class_names(page)) == sorted(task.support.classes)


def test_own_pictures_by_hand_give_cards(page: Page, drawings: Callable) -> None:
    two_classes(page, drawings)
    classify(page)
    assert labels(page) == ["Loop"] * 3
    assert page.locator("table.queries").count() == 0  # one query needs no table
    assert page.locator(".mark.right, .mark.wrong").count() == 0  # nobody told the answer


def test_a_name_is_text_whatever_is_typed(page: Page, drawings: Callable) -> None:
    name = "<img src=x onerror=alert(1)> ${1+1} {{2}} `a`"
    two_classes(page, drawings)
    name_class(page, 1, name)
    classify(page)
    assert labels(page) == [name] * 3


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
        expect(thumbnails(page, gallery)).to_have_count(1, timeout=WAIT)
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
    expect(page.locator("tr[data-query]")).to_have_count(2, timeout=WAIT)


def test_what_others_replace_can_be_brought_back(
    page: Page, drawings: Callable, zip_of: Callable, tmp_path: Path
) -> None:
    two_classes(page, drawings)
    before = class_names(page)
    expect(page.locator("#bring-back")).to_be_hidden()
    page.click("#example-one-shot")
    expect(page.locator("#message")).to_contain_text(example_task("one-shot").title, timeout=WAIT)
    # One import more, and a refused one, which replaces nothing.
    import_zip(page, zip_of("letters.zip", n_classes=3, shots=1))
    expect(page.get_by_label("Name of class 3", exact=True)).to_have_value("Letter 2")
    (tmp_path / "bad.zip").write_bytes(b"nothing")
    import_zip(page, str(tmp_path / "bad.zip"))
    expect(page.locator("#import-note")).to_contain_text("bad.zip")
    page.click("#bring-back")
    example = example_task("one-shot").support.classes
    expect(page.get_by_label("Name of class 1", exact=True)).to_have_value(example[0])
    page.click("#bring-back")
    expect(page.get_by_label("Name of class 1", exact=True)).to_have_value(before[0])
    assert class_names(page) == before
    expect(thumbnails(page, "#pictures-1")).not_to_have_count(0)
    page.click("#bring-back")  # and what was there when it was first pressed
    expect(page.get_by_label("Name of class 3", exact=True)).to_have_value("Letter 2")


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


def test_classes_come_and_go_and_the_others_stay(page: Page, drawings: Callable) -> None:
    two_classes(page, drawings)
    page.click("#add-class")
    expect(page.locator(".slot")).to_have_count(3)
    name_class(page, 3, "Third")
    upload(page, "#pictures-3", drawings(20, range(3)))
    page.click("#pad-3 summary")
    draw_on(page, "#pad-3", [[(0.2, 0.5), (0.8, 0.5)]])
    page.locator("#class-1").get_by_role("button", name="Remove").click()
    expect(page.locator(".slot")).to_have_count(2)
    assert class_names(page) == ["Fork", "Third"]
    # What lies on a class's pad moves up with it.
    expect(page.locator("#pad-2 canvas.unsent")).to_be_visible()
    expect(page.locator("#pad-1 canvas.unsent")).to_have_count(0)
    page.click("#bring-back")
    expect(page.locator(".slot")).to_have_count(3)
    assert class_names(page) == ["Loop", "Fork", "Third"]
    locked = page.evaluate(
        """async () => {
          const [first, second] = document.querySelectorAll("#class-slots .remove");
          first.click();
          const moment = () => new Promise((done) => setTimeout(done, 1));
          for (let i = 0; i < 5000 && !second.disabled; i++) await moment();
          second.click();
          return second.disabled;
        }"""
    )
    assert locked
    expect(page.locator(".slot")).to_have_count(2)
    assert class_names(page) == ["Fork", "Third"]
    expect(page.locator("#class-1").get_by_role("button", name="Remove")).to_be_enabled()
    expect(thumbnails(page, "#pictures-1")).to_have_count(2)
    expect(thumbnails(page, "#pictures-2")).to_have_count(3)
    expect(thumbnails(page, "#queries")).to_have_count(1)
    page.click("#clear-all")
    expect(thumbnails(page, "#pictures-1")).to_have_count(0)
    expect(thumbnails(page, "#queries")).to_have_count(0)
    assert class_names(page) == ["", ""]


def test_a_class_is_removed_once_what_is_on_its_way_is_there(
    page: Page, drawings: Callable, tmp_path: Path
) -> None:
    page.click("#example-alphabet")
    expect(page.locator("#cards .card")).to_have_count(5, timeout=WAIT)
    last = class_names(page)[-1]

    def first_removed_while(n_classes: int, address: str, start: Callable) -> None:
        """Remove the first class while what is asked for the last one is held back."""
        with held(page, address) as asked:
            start()
            while not asked:
                page.wait_for_timeout(50)
            page.click("#class-1 .remove")
            page.wait_for_timeout(1000)
            assert n_slots(page) == n_classes
            expect(page.locator("#class-2 .remove")).to_be_disabled()
        expect(page.locator(".slot")).to_have_count(n_classes - 1)
        expect(page.locator("#class-1 .remove")).to_be_enabled()
        assert class_names(page)[-1] == last

    def add(gallery: str, files: list[str]) -> None:
        page.set_input_files(f"{gallery} input[type=file]", files)

    first_removed_while(5, "upload?", lambda: add("#pictures-5", drawings(20, range(2))))
    expect(thumbnails(page, "#pictures-4")).to_have_count(7)
    # Held back is what looks at a picture that cannot be read, and leaves the others.
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"nothing of the kind")
    first_removed_while(4, "queue/join", lambda: add("#pictures-4", [str(broken)]))
    expect(thumbnails(page, "#pictures-3")).to_have_count(7)

    def draw() -> None:
        page.click("#pad-3 summary")
        draw_on(page, "#pad-3", [[(0.2, 0.5), (0.8, 0.5)]])
        page.click("#pad-3 [data-do=add]")

    first_removed_while(3, "queue/join", draw)
    expect(thumbnails(page, "#pictures-2")).to_have_count(8)
    page.click("#bring-back")  # what was there once it was Remove's turn
    expect(thumbnails(page, "#pictures-3")).to_have_count(8)


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


def test_a_reload_loses_nothing_given(page: Page, drawings: Callable, zip_of: Callable) -> None:
    under_way = set()  # what a reload would end, which the browser's console tells of
    page.on("request", lambda one: "heartbeat" in one.url or under_way.add(one))  # which stays
    for ended in ("requestfinished", "requestfailed"):
        page.on(ended, lambda one: under_way.discard(one))

    def reload() -> None:
        quiet = 0  # of a change the server is asked a moment later
        while quiet < 10:
            page.wait_for_timeout(50)
            quiet = 0 if under_way else quiet + 1
        page.reload()

    two_classes(page, drawings)
    page.locator("#class-2 .describe button").click()
    page.get_by_label("Description of class 2").fill("with three prongs")
    page.locator("#settings > button").click()
    page.get_by_label("Fine-tuning steps").fill("7")
    page.get_by_label("Use the other queries too").check()
    open_tab(page, "Names alone")
    page.fill("#names textarea", "heart\nstar")
    page.wait_for_function("sessionStorage.getItem('names')?.includes('star')")
    open_tab(page, "Classify")
    page.get_by_label("CLIP model").click()
    page.get_by_role("option", name="ViT-B-16").click()
    open_tab(page, "Evaluate")
    page.get_by_label("My zip").check()
    page.set_input_files("#evaluate-zip input[type=file]", zip_of("two.zip", 2, 3))
    page.fill("#evaluate-ways input", "2")
    page.get_by_label("Nearest neighbour").check()
    page.get_by_role("radio", name="Over shots").check()
    page.wait_for_function("sessionStorage.getItem('evaluate')?.includes('shots')")
    page.wait_for_function("sessionStorage.getItem('evaluate')?.includes('two.zip')")
    reload()
    expect(page.get_by_label("Name of class 2", exact=True)).to_have_value("Fork", timeout=WAIT)
    assert class_names(page) == ["Loop", "Fork"]
    expect(thumbnails(page, "#queries")).to_have_count(1)
    page.locator("#settings > button").click()
    expect(page.get_by_label("Fine-tuning steps")).to_have_value("7")
    expect(page.get_by_label("Use the other queries too")).to_be_checked()
    expect(page.get_by_label("Tune CLIP’s last block")).not_to_be_checked()
    expect(page.get_by_label("CLIP model")).to_have_value(re.compile("^ViT-B-16 "))
    page.locator("#reset-settings").click()
    expect(page.get_by_label("CLIP model")).to_have_value(re.compile("^Small embedded model"))
    open_tab(page, "Evaluate")
    expect(page.get_by_label("My zip")).to_be_checked()
    expect(page.locator("#evaluate-zip")).to_contain_text("two")
    expect(page.locator("#evaluate-ways input")).to_have_value("2")
    expect(page.get_by_label("Nearest neighbour")).to_be_checked()
    expect(page.get_by_label("Siamese", exact=True)).to_be_checked()
    expect(page.get_by_role("radio", name="Over shots")).to_be_checked()
    open_tab(page, "Names alone")
    expect(page.locator("#names textarea")).to_have_value("heart\nstar")
    open_tab(page, "Classify")
    classify(page)
    assert labels(page) == ["Loop"] * 3
    import_zip(page, zip_of("letters.zip", 12, 1))
    expect(page.locator(".class-list li")).to_have_count(12, timeout=WAIT)
    page.wait_for_function("sessionStorage.getItem('classify').includes('letters.zip')")
    reload()
    expect(page.locator(".class-list li")).to_have_count(12, timeout=WAIT)
    expect(page.locator(".slot")).to_have_count(0)
    classify(page)
    assert all(label.startswith("Letter") for label in labels(page))


def test_a_gallery_that_its_cross_cleared_can_be_brought_back(
    page: Page, drawings: Callable
) -> None:
    upload(page, "#pictures-1", drawings(20, range(3)))
    page.locator("#pictures-1").get_by_role("button", name="Clear", exact=True).click()
    expect(thumbnails(page, "#pictures-1")).to_have_count(0)
    page.click("#bring-back")
    expect(thumbnails(page, "#pictures-1")).to_have_count(3)


def test_classes_are_replaced_once_what_is_on_its_way_is_there(
    page: Page, drawings: Callable, zip_of: Callable
) -> None:
    upload(page, "#pictures-1", drawings(20, [0]))
    page.click("#clear-all")  # so that there is something to bring back
    expect(thumbnails(page, "#pictures-1")).to_have_count(0)
    buttons = ("#bring-back", "#example-alphabet", "#clear-all")
    ways = [partial(page.click, button) for button in buttons]
    ways.append(lambda: import_zip(page, zip_of("letters.zip", n_classes=3, shots=2)))
    for number, replace in enumerate(ways):
        name_class(page, 1, f"Class of way {number}")
        upload(page, "#pictures-1", drawings(20, [0]), 1)
        with held(page, "upload?", 1) as asked:
            page.set_input_files("#pictures-1 input[type=file]", drawings(21, range(2)))
            while not asked:
                page.wait_for_timeout(50)
            replace()
            expect(page.locator("#given.waiting")).to_be_visible()
            page.wait_for_timeout(500)
            expect(thumbnails(page, "#pictures-1")).to_have_count(1)
        expect(page.locator("#given.waiting")).to_have_count(0)
        name = page.get_by_label("Name of class 1", exact=True)
        expect(name).not_to_have_value(f"Class of way {number}", timeout=WAIT)
        expect(page.locator("#bring-back")).to_be_enabled(timeout=WAIT)
        page.click("#bring-back")
        expect(name).to_have_value(f"Class of way {number}")
        expect(thumbnails(page, "#pictures-1")).to_have_count(3)
        page.click("#clear-all")
        expect(thumbnails(page, "#pictures-1")).to_have_count(0)


def test_a_click_shows_a_picture_large_and_leaves_the_tools(page: Page, drawings: Callable) -> None:
    upload(page, "#pictures-1", drawings(20, range(3)))
    tools = page.locator("#pictures-1 .icon-button")
    expect(tools).to_have_count(4)
    large = page.get_by_role("dialog")
    second = page.get_by_label("Thumbnail 2 of 3", exact=True)
    second.click()
    expect(large.locator("img")).to_have_attribute("alt", "glyph20-1.png")
    box = large.locator("img").bounding_box()
    assert min(box["width"], box["height"]) > 500
    page.keyboard.press("Escape")
    expect(large).to_have_count(0)
    expect(second).to_be_focused()
    second.press("Enter")
    large.locator("img").click()
    expect(large).to_have_count(0)
    expect(tools).to_have_count(4)
    expect(page.locator("#pictures-1").get_by_title("Take a picture")).to_be_visible()
    upload(page, "#pictures-1", drawings(20, range(3, 4)))
    page.locator("#pictures-1 .delete-button").first.press("Enter")
    expect(thumbnails(page, "#pictures-1")).to_have_count(3)
    expect(large).to_have_count(0)


def test_from_the_camera_there_is_a_way_back_to_the_pictures(
    page: Page, drawings: Callable
) -> None:
    upload(page, "#pictures-1", drawings(20, range(2)))
    page.locator("#pictures-1").get_by_title("Take a picture").click()
    expect(thumbnails(page, "#pictures-1")).to_have_count(0)
    page.locator("#pictures-1").get_by_label("Upload file").click()  # one that can be clicked
    expect(thumbnails(page, "#pictures-1")).to_have_count(2)
    upload(page, "#pictures-1", drawings(20, range(2, 3)))
    # From an empty gallery to an empty one.
    page.locator("#pictures-2").get_by_label("Capture from camera").click()
    expect(page.locator("#pictures-2").get_by_text("Webcam")).to_be_visible()
    page.locator("#pictures-2").get_by_label("Upload file").click()
    expect(page.locator("#pictures-2").get_by_text("Webcam")).to_have_count(0)
    upload(page, "#pictures-2", drawings(21, range(2)))


def drop(page: Page, place: str, files: list[str]) -> bool:
    """Drag files over a place and drop them there: whether the page sees to them itself."""
    given = [[Path(f).name, base64.b64encode(Path(f).read_bytes()).decode()] for f in files]
    return page.locator(place).evaluate(
        """(place, given) => {
          const dataTransfer = new DataTransfer();
          for (const [name, bytes] of given)
            dataTransfer.items.add(new File(
              [Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0))], name, {type: "image/png"}));
          const seen = ["dragover", "drop"].map((kind) => {
            const event = new DragEvent(
              kind, {dataTransfer, bubbles: true, cancelable: true, composed: true});
            place.dispatchEvent(event);
            return event.defaultPrevented;
          });
          return seen.every(Boolean);
        }""",
        given,
    )


def test_pictures_are_dropped_wherever_a_class_is(page: Page, drawings: Callable) -> None:
    upload(page, "#queries", drawings(20, range(1)))
    places = ["#pictures-1 .upload-container", "#pictures-1", "#class-1 textarea", "#pad-1"]
    for number, place in enumerate(places, start=1):
        assert drop(page, place, drawings(20, range(number, number + 1)))
        expect(thumbnails(page, "#pictures-1")).to_have_count(number, timeout=WAIT)
    assert drop(page, "#queries", drawings(20, range(7, 9)))
    expect(thumbnails(page, "#queries")).to_have_count(3, timeout=WAIT)
    for place in ("#actions", "header.masthead"):  # else the browser would open them
        assert drop(page, place, drawings(20, range(1)))
    page.wait_for_timeout(500)
    expect(thumbnails(page, ".pictures")).to_have_count(len(places) + 3)
    expect(page.locator(".dropping")).to_have_count(0)


def test_what_arrives_while_something_is_answered_stays(
    page: Page, drawings: Callable, tmp_path: Path
) -> None:
    upload(page, "#pictures-1", drawings(20, range(1)))
    page.click("#pad-1 summary")
    draw_on(page, "#pad-1", [[(0.2, 0.5), (0.8, 0.5)]])

    def names() -> list[str]:
        pictures = page.locator("#pictures-1 .thumbnail-item img")
        return pictures.evaluate_all("all => all.map(e => e.src.split('/').pop())")

    def add_meanwhile(start: Callable, made: str, file: str) -> None:
        """Add a file once something is made, or as it is while a second answer is held back."""
        with held(page, "queue/data", 2) as asked:
            start()
            while len(asked) < 2 and made not in names():
                page.wait_for_timeout(50)
            page.set_input_files("#pictures-1 input[type=file]", file)
            expect(page.locator(f'#pictures-1 img[src$="{Path(file).name}"]')).to_be_visible()

    def draw() -> None:
        page.click("#pad-1 [data-do=add]")
        draw_on(page, "#pad-1", [[(0.5, 0.2), (0.5, 0.8)]])

    add_meanwhile(draw, "drawing-2.png", *drawings(20, range(1, 2)))
    expect(thumbnails(page, "#pictures-1")).to_have_count(3, timeout=WAIT)
    assert names() == ["glyph20-0.png", "drawing-2.png", "glyph20-1.png"]
    expect(page.locator("#pad-1 canvas.unsent")).to_be_visible()
    # One that cannot be read goes, a TIFF is shown, and one more comes meanwhile.
    broken, scan = tmp_path / "broken.png", tmp_path / "scan.tif"
    broken.write_bytes(b"nothing of the kind")
    Image.new("RGB", (40, 40), "white").save(scan)
    both = [str(broken), str(scan)]
    give = partial(page.set_input_files, "#pictures-1 input[type=file]", both)
    add_meanwhile(give, "scan.png", *drawings(20, range(2, 3)))
    expect(thumbnails(page, "#pictures-1")).to_have_count(5, timeout=WAIT)
    assert names()[2:] == ["glyph20-1.png", "scan.png", "glyph20-2.png"]
    # The server takes them all, and what is added while the first upload lasts is not replaced.
    name_class(page, 1, "Loop")
    name_class(page, 2, "Fork")
    page.click("#pad-1 [data-do=clear]")
    page.click("#pad-2 summary")
    draw_on(page, "#pad-2", [[(0.2, 0.5), (0.8, 0.5)]])
    with held(page, "upload?", 1) as asked:
        page.set_input_files("#pictures-2 input[type=file]", drawings(14, range(1)))
        while not asked:
            page.wait_for_timeout(50)
        page.click("#pad-2 [data-do=add]")
        page.wait_for_timeout(1000)
    expect(thumbnails(page, "#pictures-2")).to_have_count(2, timeout=WAIT)
    upload(page, "#queries", drawings(14, range(2, 3)))
    classify(page)


def test_buttons_of_a_class_say_which_to_screen_readers(fresh: Page) -> None:
    session = fresh.context.new_cdp_session(fresh)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    of_role = [one for one in nodes if one.get("role", {}).get("value") == "button"]
    names = [one["name"]["value"].split() for one in of_role if one.get("name")]
    for number in ("1", "2"):
        assert ["Remove", "class", number] in names
        assert any(name[:2] == ["Describe", "it"] and name[-1] == number for name in names)


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
    expect(thumbnails(page, "#pictures-1")).to_have_count(1, timeout=WAIT)
    page.keyboard.press("Control+z")  # there is no such button any more to have the focus
    assert class_names(page)[0] == "Loops"


# Zips


def test_a_small_zip_fills_the_slots(page: Page, zip_of: Callable, drawings: Callable) -> None:
    import_zip(page, zip_of("letters.zip", n_classes=3, shots=2))
    expect(page.locator(".slot")).to_have_count(3, timeout=WAIT)
    assert class_names(page) == ["Letter 0", "Letter 1", "Letter 2"]
    expect(thumbnails(page, "#pictures-3")).to_have_count(2)
    upload(page, "#queries", drawings(1, range(5, 6), "felt"))
    classify(page)
    assert labels(page) == ["Letter 1"] * 3


def test_while_a_zip_is_read_it_is_said_and_no_other_is_taken(page: Page, zip_of: Callable) -> None:
    with held(page, "queue/join"):
        import_zip(page, zip_of("letters.zip", n_classes=3, shots=1))
        expect(page.locator("#import-note progress")).to_be_visible()
        expect(page.locator("#import-zip")).to_be_disabled()
        page.get_by_label("Name of class 1", exact=True).fill("typed meanwhile")
    expect(page.get_by_label("Name of class 3", exact=True)).to_have_value("Letter 2", timeout=WAIT)
    expect(page.locator("#import-note progress")).to_have_count(0)
    expect(page.locator("#import-zip")).to_be_enabled()
    page.click("#bring-back")
    expect(page.get_by_label("Name of class 1", exact=True)).to_have_value("typed meanwhile")


def test_a_large_zip_is_listed_and_what_it_lacks_is_named(
    page: Page, zip_of: Callable, drawings: Callable
) -> None:
    unsafe = "Letter 2/<img src=x onerror=alert(1)>.png"
    import_zip(page, zip_of("letters.zip", 12, 1, extra={unsafe: b"nonsense", "a.txt": b"a"}))
    items = page.locator(".class-list li")
    expect(items).to_have_count(12, timeout=WAIT)
    expect(items.nth(2)).to_contain_text("Letter 2")
    expect(page.locator(".slot")).to_have_count(0)
    for place in (toast(page), page.locator("#import-note")):
        expect(place).to_contain_text(unsafe)
        expect(place).to_contain_text("a.txt")
    upload(page, "#queries", drawings(11, range(5, 7)))
    classify(page)
    assert all(re.fullmatch(r"Letter \d+", label) for label in labels(page))
    page.click("#drop-list")
    expect(page.locator(".slot")).to_have_count(2)
    expect(thumbnails(page, "#queries")).to_have_count(2)


def test_a_refused_zip_changes_nothing(page: Page, drawings: Callable, tmp_path: Path) -> None:
    two_classes(page, drawings)
    broken = tmp_path / "broken.zip"
    broken.write_bytes(b"PK nothing of the kind")
    import_zip(page, str(broken))
    expect(toast(page)).to_contain_text("'broken.zip' is not a zip file or is damaged")
    assert class_names(page) == ["Loop", "Fork"]
    classify(page)
    assert labels(page) == ["Loop"] * 3


# What goes wrong


def test_a_broken_picture_is_named_and_the_others_stay(
    page: Page, drawings: Callable, tmp_path: Path
) -> None:
    two_classes(page, drawings)
    broken = tmp_path / "holiday.png"
    broken.write_bytes(b"nothing of the kind")
    upload(page, "#pictures-1", [*drawings(4, range(2, 3)), str(broken)], expected=3)
    expect(toast(page)).to_contain_text("is not a picture that can be read")
    expect(toast(page)).to_contain_text(quoted("holiday.png"))
    classify(page)
    assert labels(page) == ["Loop"] * 3


def test_an_upload_that_fails_says_what_to_do(
    window: BrowserContext, page_url: str, drawings: Callable
) -> None:
    page = window.new_page()  # of its own, as a browser logs what fails
    page.goto(page_url)
    expect(page.locator("#classify")).to_be_visible(timeout=WAIT)
    for number, fail in enumerate([lambda r: r.abort(), lambda r: r.fulfill(status=502)]):
        page.route(re.compile(r"upload\?"), fail)
        page.set_input_files("#pictures-1 input[type=file]", drawings(20, range(1)))
        expect(toast(page)).to_contain_text("The upload did not arrive: try again")
        expect(toast(page)).not_to_contain_text("An error occurred")
        page.unroute_all()
        page.get_by_test_id("toast-close").first.click()
        expect(toast(page)).to_have_count(0)
        # Nothing lies over what it is tried again with.
        page.locator("#pictures-1 [aria-label='Click to upload or drop files']").click(trial=True)
        upload(page, "#pictures-1", drawings(20, range(number + 1, number + 2)))
    page.close()


def test_what_is_missing_is_said_in_a_sentence(page: Page, drawings: Callable) -> None:
    upload(page, "#pictures-1", drawings(4, range(1)))
    page.click("#classify")
    sentence = "Class 1 has pictures but no name"
    expect(toast(page)).to_contain_text(sentence)
    problem = page.locator("#problem-said .problem")
    expect(problem).to_contain_text(sentence)  # a toast goes
    name_class(page, 1, "Loop")
    expect(problem).to_have_count(0)  # with what was wrong
    expect(page.locator("#classify")).to_be_enabled()
    expect(thumbnails(page, "#pictures-1")).to_have_count(1)


def test_photos_taken_for_drawings_are_told_as_they_come(
    page: Page, drawings: Callable, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    for i in range(6):
        smooth = Image.fromarray(rng.integers(0, 255, (9, 9, 3), np.uint8)).resize((96, 96))
        smooth.save(tmp_path / f"photo-{i}.png")
    two_classes(page, drawings)
    upload(page, "#pictures-2", [str(tmp_path / f"photo-{i}.png") for i in range(6)])
    note = page.locator("#preset-note")
    expect(note).to_contain_text("choose Photos under “Kind of pictures”")
    classify(page)
    expect(page.locator("#message .problem")).to_contain_text("These look like photos")
    page.get_by_label("Photos").check()
    expect(note).to_be_hidden()
    page.get_by_label("Drawings").check()
    expect(note).to_be_visible()
    page.click("#clear-all")
    expect(note).to_be_hidden(timeout=WAIT)
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for i in range(6):
            archive.write(tmp_path / f"photo-{i}.png", f"class {i % 2}/{i}.png")
    import_zip(page, str(tmp_path / "photos.zip"))
    expect(note).to_be_visible(timeout=WAIT)
    page.click("#example-alphabet")
    expect(note).to_be_hidden(timeout=WAIT)
    # Barely a photo, and as many drawings: the first one, in an empty gallery, counts at once.
    page.click("#clear-all")
    expect(thumbnails(page, "#pictures-1")).to_have_count(0)
    barely = Image.new("RGB", (96, 96), "white")
    barely.paste(Image.open(tmp_path / "photo-0.png").resize((70, 70)))
    barely.save(tmp_path / "barely.png")
    upload(page, "#pictures-1", [str(tmp_path / "barely.png")])
    expect(note).to_be_visible(timeout=WAIT)
    page.click("#pad-2 summary")
    draw_on(page, "#pad-2", [[(0.2, 0.2), (0.8, 0.8)]])
    page.click("#pad-2 [data-do=add]")
    expect(thumbnails(page, "#pictures-2")).to_have_count(1)
    expect(note).to_be_hidden(timeout=WAIT)


def test_photos_without_the_chosen_clip_say_what_to_do(page: Page, drawings: Callable) -> None:
    two_classes(page, drawings)
    page.get_by_label("Photos").check()
    page.locator("#settings button").first.click()
    choose_model(page, "ViT-B-32")
    expect(page.locator("#preset-note")).to_contain_text("is not on this machine")
    page.click("#classify")
    expect(page.locator("#problem-said .problem")).to_contain_text("download it (605 MB)")
    expect(thumbnails(page, "#pictures-1")).to_have_count(2)
    page.get_by_label("Drawings").check()
    classify(page)
    assert labels(page) == ["Loop"] * 3


def test_a_download_that_cannot_be_says_so(page: Page) -> None:
    page.locator("#settings button").first.click()
    choose_model(page, "ViT-B-32")
    button = page.get_by_role("button", name="Download 605 MB")
    with held(page, "queue/join"):
        button.click()
        expect(page.locator("#clip-status progress")).to_be_visible()
        expect(button).to_be_disabled()
    expect(toast(page)).to_contain_text("The model hub did not answer", timeout=WAIT)
    expect(button).to_be_enabled()
    expect(page.locator("#clip-status .problem")).to_contain_text("The model hub did not answer")


def test_a_download_that_waits_for_another_says_so(page: Page) -> None:
    if omniglot_is_here():
        pytest.skip("Omniglot is on this machine: there is nothing to download.")
    open_tab(page, "Evaluate")
    page.get_by_label("Omniglot").check()
    button = page.locator("#omniglot-download")
    expect(button).to_be_enabled()
    page.route("**/queue/join**", lambda _: None)  # for good: nothing is fetched
    button.click()
    expect(page.locator("#omniglot-status progress")).to_be_visible()
    expect(button).to_be_disabled()


def test_settings_are_used_and_can_be_reset(page: Page, drawings: Callable) -> None:
    two_classes(page, drawings)
    page.locator("#settings button").first.click()
    page.get_by_label("Temperature").fill("warm")
    page.click("#classify")
    expect(toast(page)).to_contain_text("The temperature 'warm' is no number")
    page.get_by_label("Temperature").fill("0.001")
    page.click("#classify")
    expect(card(page, "triplet").locator(".share").first).to_have_text("50%", timeout=WAIT)
    model = page.locator("#clip-model input")
    chosen = model.input_value()
    choose_model(page, "ViT-B-32")
    page.click("#reset-settings")
    expect(page.get_by_label("Temperature")).to_have_value("")
    expect(model).to_have_value(chosen)
    page.click("#classify")
    expect(card(page, "triplet").locator(".share").first).not_to_have_text("50%", timeout=WAIT)


def test_stop_gives_the_page_back(page: Page, zip_of: Callable, drawings: Callable) -> None:
    import_zip(page, zip_of("many.zip", n_classes=12, shots=4, first=700))
    expect(page.locator(".class-list li")).to_have_count(12, timeout=WAIT)
    upload(page, "#queries", drawings(3, range(1)))
    page.click("#classify")
    stop_at_once(page)
    expect(page.locator("#problem-said")).to_contain_text("Stopped")
    expect(page.locator("#classify")).to_be_enabled()
    expect(page.locator("#stop")).to_be_hidden()
    expect(page.locator(".class-list li")).to_have_count(12)
    expect(page.locator(".card")).to_have_count(0)
    expect(page.locator("#said-aloud")).to_have_text("Stopped.")
    # At once, by the key: the button was given the focus back, which a disabled one loses.
    expect(page.locator("#classify")).to_be_focused()
    page.keyboard.press("Enter")  # and the next run is as whole as if nothing had been stopped
    expect(page.locator("#classify")).to_be_disabled()
    expect(page.locator("#cards .card")).to_have_count(5, timeout=WAIT)
    expect(page.locator("#said-aloud")).to_have_text("The answers are here.")
    expect(page.locator("#problem-said .notice")).to_have_count(0)


# How things lie


def test_what_there_is_room_for_is_shown_whole(open_page: Callable[..., Page]) -> None:
    page = open_page(1440, 900)
    page.click("#example-alphabet")  # five pictures a class
    expect(page.locator("#cards .card")).to_have_count(5, timeout=WAIT)
    assert cut_short(page, ".pictures .grid-wrap") == []
    page.click("#example-symbols")  # ten queries, and names of three words
    expect(page.locator("#message")).to_contain_text(example_task("symbols").title, timeout=WAIT)
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
    expect(page.locator("#cards .card")).to_have_count(5, timeout=WAIT)
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


# On a phone


@pytest.mark.parametrize("width", [390, 800])
def test_what_goes_wrong_hides_no_button(open_page: Callable[..., Page], width: int) -> None:
    page = open_page(width, 844)
    page.click("#classify")
    expect(toast(page)).to_be_visible()
    bar = page.locator("#actions").bounding_box()
    assert bar["y"] < 844  # where a toast would lie, too
    said = page.locator(".toast-wrap").bounding_box()
    assert said["y"] + said["height"] <= bar["y"]


def test_a_phone_shows_everything_below_each_other(open_page: Callable[..., Page]) -> None:
    page = open_page(390, 844)
    assert overflow(page) <= 0
    # In reach wherever one is in the inputs, without being scrolled to.
    page.locator("#class-1").scroll_into_view_if_needed()
    button = page.locator("#classify").bounding_box()
    assert 0 <= button["y"] <= 844 - button["height"]
    page.click("#example-alphabet")
    expect(page.locator("#cards .card")).to_have_count(5, timeout=WAIT)
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


@pytest.mark.parametrize(
    ("width", "fits"), [(1280, True), (1024, True), (900, False), (390, False)]
)
def test_a_table_that_does_not_fit_says_that_it_scrolls(
    open_page: Callable[..., Page], width: int, fits: bool
) -> None:
    page = open_page(width, 800)
    page.click("#example-alphabet")
    frame = page.locator(".table-frame")
    expect(frame).to_be_visible(timeout=WAIT)
    hint = "frame => getComputedStyle(frame.nextElementSibling, '::after').content"
    assert frame.evaluate("frame => frame.scrollWidth <= frame.clientWidth") is fits
    assert ("The table scrolls sideways" in frame.evaluate(hint)) is not fits


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_the_titles_of_examples_stay_in_their_buttons(
    open_page: Callable[..., Page], width: int
) -> None:
    page = open_page(width, 800)
    outside = "all => all.filter(one => one.scrollWidth > one.clientWidth).length"
    assert page.locator("#examples button").count() == 7
    assert page.locator("#examples button").evaluate_all(outside) == 0
    assert overflow(page) <= 0


@pytest.mark.parametrize("width", [390, 1280])
def test_all_of_the_sign_for_uploads_opens_the_chooser(
    open_page: Callable[..., Page], drawings: Callable, width: int
) -> None:
    page = open_page(width, 800)
    upload(page, "#pictures-1", drawings(14, range(1)))
    signs = page.locator("#pictures-1 .icon-button")
    expect(signs).to_have_count(4)
    sizes = "all => all.map(one => one.getBoundingClientRect()).flatMap(r => [r.width, r.height])"
    assert min(signs.evaluate_all(sizes)) >= 24
    box = signs.first.bounding_box()
    for x, y in ((2, 2), (box["width"] - 2, box["height"] - 2)):
        with page.expect_file_chooser():
            signs.first.click(position={"x": x, "y": y})


def test_what_has_the_focus_is_seen_to_have_it(fresh: Page) -> None:
    """Fields and choices, too, whose ring Gradio takes away; of a choice its label shows it."""
    fresh.locator("#examples button").last.focus()
    ringed = """() => {
      const own = document.activeElement;
      const shown = own.type === "radio" ? own.closest("label") : own;
      return [own.type, getComputedStyle(shown).outlineStyle !== "none"];
    }"""
    seen = []
    for _ in range(4):
        fresh.keyboard.press("Tab")
        seen.append(fresh.evaluate(ringed))
    assert seen == [["radio", True], ["radio", True], ["textarea", True], ["submit", True]]


def test_the_row_looked_at_stays_when_classified_again(page: Page, drawings: Callable) -> None:
    two_classes(page, drawings)
    upload(page, "#queries", [file for glyph in (14, 15) for file in drawings(glyph, range(5, 13))])
    classify(page)
    rows = page.locator("tr[data-query]")
    rows.last.locator("button").click()
    expect(rows.last).to_have_class("chosen")
    name = rows.last.locator("th span").inner_text()
    assert rows.last.locator("th span").get_attribute("title") == name
    expect(page.locator(".question small")).to_have_text(name)
    upload(page, "#pictures-1", drawings(14, range(20, 21)))
    classify(page)
    expect(rows.last).to_have_class("chosen")
    expect(page.locator(".question small")).to_have_text(name)
    inside = """row => {
      const frame = row.closest(".table-frame").getBoundingClientRect();
      const own = row.getBoundingClientRect();
      return own.top >= frame.top && own.bottom <= frame.bottom + 1;
    }"""
    assert rows.last.evaluate(inside)
    page.locator("#queries .delete-button").first.click()  # what goes moves it, but one row up
    expect(thumbnails(page, "#queries")).to_have_count(16)
    classify(page)
    expect(rows).to_have_count(16)
    expect(rows.last).to_have_class("chosen")
    expect(page.locator(".question small")).to_have_text(name)


def test_who_waits_for_others_is_told_so_after_a_while(page: Page, drawings: Callable) -> None:
    two_classes(page, drawings)
    told = "getComputedStyle(document.querySelector('.waiting'), '::after').height !== '0px'"
    with held(page, "queue/join?"):
        page.click("#classify")
        expect(page.locator("#progress")).to_contain_text("Waiting for the engine")
        assert not page.evaluate(told)  # most waits are none
        page.wait_for_function(told)
    expect(page.locator("#cards .card")).to_have_count(5, timeout=WAIT)


def test_a_run_that_waits_for_uploads_says_so(page: Page, drawings: Callable) -> None:
    def press_during_upload(gallery: str, button: str, progress: str) -> None:
        with held(page, "queue/join?"):
            with held(page, "upload?") as asked:
                page.set_input_files(f"{gallery} input[type=file]", drawings(14, range(4, 5)))
                while not asked:
                    page.wait_for_timeout(50)
                page.click(button)
                expect(page.locator(progress)).to_contain_text("Waiting for the files")
            expect(page.locator(progress)).to_contain_text("Waiting for the engine")

    two_classes(page, drawings)
    press_during_upload("#queries", "#classify", "#progress")
    expect(page.locator("tr[data-query]")).to_have_count(2, timeout=WAIT)
    open_tab(page, "Names alone")
    page.fill("#names textarea", "heart\nstar")
    upload(page, "#names-queries", drawings(4, range(7, 8)))
    press_during_upload("#names-queries", "#find-names", "#names-progress")
    expect(page.locator("#names-message")).to_contain_text("2 names, 2 pictures", timeout=WAIT)


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


def test_wherever_the_answers_lie_below_one_is_taken_there(open_page: Callable[..., Page]) -> None:
    page = open_page(820, 700)  # a tablet
    page.click("#example-alphabet")
    expect(page.locator(".question")).to_be_in_viewport(ratio=0.1)
    given, found = page.locator("#given").bounding_box(), page.locator("#results").bounding_box()
    assert given["y"] + given["height"] <= found["y"]


# Behind the page


def test_nothing_was_logged_but_the_address(page_url: str, page_log: Path) -> None:
    assert "Traceback" not in page_log.read_text("utf-8", "replace")
