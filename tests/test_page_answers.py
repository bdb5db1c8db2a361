"""The page in a real browser: what the answers show, and what can be done with them."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from visiting import (
    METHODS,
    as_float,
    card,
    class_names,
    classify,
    import_zip,
    labels,
    outdated,
    thumbnails,
    toast,
    two_classes,
    upload,
)

from fewshot.class_folders import read_class_folders
from fewshot.examples import example_task


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


def test_a_row_of_the_table_shows_its_cards(answered: Page) -> None:
    task = example_task("alphabet")
    rows = answered.locator("tr[data-query]")
    expect(rows).to_have_count(len(task.queries))
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
    expect(outdated(page)).to_have_count(1)
    classify(page)
    expect(outdated(page)).to_have_count(0)
    expect(rows.last).to_have_class("chosen")
    expect(page.locator(".question small")).to_have_text(name)
    inside = """() => {
      const row = document.querySelector("tr.chosen"), own = row.getBoundingClientRect();
      const frame = row.closest(".table-frame").getBoundingClientRect();
      return own.top >= frame.top && own.bottom <= frame.bottom + 1;
    }"""
    page.wait_for_function(inside)
    box = page.get_by_label("on which they disagree")
    all_rows, odd_rows = rows.count(), page.locator("tr[data-query]:has(.odd)").count()
    assert 0 < odd_rows < all_rows
    box.check()
    expect(rows.filter(visible=True)).to_have_count(odd_rows)
    box.uncheck()
    expect(rows.filter(visible=True)).to_have_count(all_rows)
    page.locator("#queries .delete-button").first.click()  # what goes moves it, but one row up
    expect(thumbnails(page, "#queries")).to_have_count(16)
    classify(page)
    expect(rows).to_have_count(16)
    expect(rows.last).to_have_class("chosen")
    expect(page.locator(".question small")).to_have_text(name)


def test_what_the_answers_rest_on_is_a_click_away(page: Page) -> None:
    look = page.locator("#look")
    expect(page.locator("#message")).to_be_visible()
    expect(look).to_be_hidden()
    page.click("#example-alphabet")
    row = page.locator("tr[data-query]").nth(1)
    row.click()
    expect(page.locator(".question small")).to_have_text("query-2.png")
    look.click()
    expect(page.locator("#stop")).to_be_visible()
    page.locator("tr[data-query]").nth(0).click()  # meanwhile: what is looked at stays the other
    expect(page.locator(".question small")).to_have_text("query-1.png")
    expect(page.locator("#stop")).to_be_hidden()
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
    expect(page.locator("#problem-said")).to_contain_text("press Classify first")
    expect(page.locator(".card .look")).to_have_count(5)
    expect(look).to_be_enabled()


def test_the_downloads_hold_what_is_shown(page: Page, tmp_path: Path) -> None:
    page.click("#example-one-shot")
    expect(page.locator("#cards .card")).to_have_count(5)
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


def test_classes_and_sorted_pictures_can_be_taken_away(page: Page, tmp_path: Path) -> None:
    expect(page.locator("#sorting")).to_be_hidden()
    page.click("#example-alphabet")
    expect(page.locator("tr[data-query]").first).to_be_visible()
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
    expect(thumbnails(page, "#pictures-5")).to_have_count(5)
    assert sorted(class_names(page)) == sorted(task.support.classes)


def test_names_alone_find_names_for_pictures(page: Page, drawings: Callable) -> None:
    page.get_by_role("tab", name="Names alone").click()
    page.click("#find-names")
    expect(toast(page).first).to_contain_text("two or more names")
    names = ["heart", "star", "fish", "letter a", "letter b", "<b>bold</b>", "digit nine"]
    page.fill("#names textarea", "\n".join([*names, "", "star"]))
    upload(page, "#names-queries", drawings(4, range(2)))
    page.click("#find-names")
    shown = page.locator(".card.named")
    expect(shown).to_have_count(2)
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
    expect(first).not_to_have_attribute("title", before[3])
    after = [card(page, m).locator(".share").first.get_attribute("title") for m in METHODS]
    assert after[:3] == before[:3]
