"""The page in a real browser: what it says before anything is given, and its examples."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect
from visiting import METHODS, card, class_names, labels, n_slots, open_tab, outdated, thumbnails

from fewshot.examples import EXAMPLE_TASKS, example_task
from fewshot.known_names import known_names
from fewshot.ui.classes_panel import MAX_SLOTS
from fewshot.ui.outdated import CLASSIFY_HELD, PLAINLY_HELD


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


def test_each_example_has_a_button_and_its_own_inputs(page: Page) -> None:
    shown = [button.get_attribute("id") for button in page.locator(".examples button").all()]
    assert shown == [f"example-{key}" for key in EXAMPLE_TASKS]
    for key in list(EXAMPLE_TASKS)[-2:]:  # what the others put in: test_ui.py
        page.click(f"#example-{key}")
        shown_with(page, key)


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


def test_using_the_other_queries_is_said(page: Page) -> None:
    page.click("#example-look-alikes")
    line = card(page, "finetune").locator(".line")
    expect(line).to_contain_text("Before fine-tuning")
    expect(line).not_to_contain_text("other queries")
    page.locator("#settings button").first.click()
    page.locator("#transductive input").check()
    page.click("#classify")
    expect(line).to_contain_text("Also used the other queries")


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
    expect(page.locator("#message")).to_contain_text(example_task(third).title)
    shown_with(page, third)


def shown_with(page: Page, key: str) -> None:
    """Check that an example's inputs and results stand beside each other, and that all is idle."""
    task = example_task(key)
    expect(page.locator("#message")).to_contain_text(task.title)
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
