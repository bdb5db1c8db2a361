"""The page in a real browser: by keys alone, and what is said to those who do not see it."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Locator, Page, expect
from visiting import name_class, open_tab, thumbnails, two_classes, until


def said(page: Page) -> Locator:
    return page.locator("#said-aloud")


def press(page: Page, button: str | Locator, key: str = "Enter") -> None:
    """As who came there by Tab."""
    button = page.locator(button) if isinstance(button, str) else button
    button.focus()
    page.keyboard.press(key)


def test_groups_and_galleries_have_names(fresh: Page) -> None:
    expect(fresh.get_by_role("group", name="Kind of pictures", exact=True)).to_be_visible()
    for number in (1, 2):
        group = fresh.get_by_role("group", name=f"Pictures of class {number}", exact=True)
        expect(group).to_be_visible()
    open_tab(fresh, "Evaluate")
    for name in ("Data set", "Methods", "Sweep"):
        expect(fresh.get_by_role("group", name=name, exact=True)).to_be_visible()


def test_arrows_lead_from_choice_to_choice(page: Page) -> None:
    choices = page.locator("#preset input")
    choices.first.focus()
    for key, chosen in [("ArrowRight", 1), ("ArrowDown", 0), ("ArrowLeft", 1), ("ArrowUp", 0)]:
        page.keyboard.press(key)
        expect(choices.nth(chosen)).to_be_focused()
        expect(choices.nth(chosen)).to_be_checked()
        expect(choices.nth(1 - chosen)).not_to_be_checked()
        expect(page.locator("#preset label.selected")).to_have_text(["Drawings", "Photos"][chosen])
    page.keyboard.press("Tab")  # the group is one stop
    expect(page.get_by_label("Name of class 1", exact=True)).to_be_focused()


def test_files_chosen_by_keys_are_told_of_and_more_can_follow(
    page: Page, drawings: Callable
) -> None:
    def choose(files: list[str]) -> None:
        choosers = []
        page.once("filechooser", lambda chooser: choosers.append(chooser))
        # Quicker than any hand: while the field is being replaced, none opens.
        until(page, lambda: choosers or page.keyboard.press("Enter"))
        choosers[0].set_files(files)

    page.locator("#pictures-1 .upload-container").focus()
    choose(drawings(4, range(2)))
    expect(said(page)).to_have_text("Pictures of class 1: 2 added, 2 in all.")
    expect(page.locator("#pictures-1 .icon-button .upload-container")).to_be_focused()
    choose(drawings(4, range(2, 3)))
    expect(said(page)).to_have_text("Pictures of class 1: 1 added, 3 in all.")
    expect(thumbnails(page, "#pictures-1")).to_have_count(3)


def test_classes_come_and_go_aloud(page: Page, drawings: Callable) -> None:
    two_classes(page, drawings)
    press(page, "#add-class")
    expect(said(page)).to_have_text("Class 3 was added.")
    expect(page.locator("#add-class")).to_be_focused()
    name_class(page, 3, "Third")
    press(page, "#class-3 .remove")
    expect(said(page)).to_have_text("Third was taken away.")
    expect(page.locator("#add-class")).to_be_focused()  # its slot is gone
    press(page, "#class-1 .remove")
    expect(said(page)).to_have_text("Loop was taken away.")
    expect(page.locator("#class-1 .remove")).to_be_focused()
    press(page, "#bring-back")
    expect(said(page)).to_have_text("What was here is back.")
    expect(page.get_by_label("Name of class 1", exact=True)).to_have_value("Loop")


def test_after_clearing_all_the_way_back_is_in_sight(page: Page, drawings: Callable) -> None:
    two_classes(page, drawings)
    page.click("#settings > button")
    page.get_by_label("Use the other queries too").scroll_into_view_if_needed()
    press(page, "#clear-all")
    expect(said(page)).to_have_text("All was cleared.")
    expect(page.locator("#bring-back")).to_be_in_viewport(ratio=1)


def test_a_run_and_a_row_are_told_of(page: Page) -> None:
    press(page, "#example-alphabet")
    expect(said(page)).to_have_text("The answers are here.")
    expect(page.locator("#example-alphabet")).to_be_focused()
    rows = page.locator("tr[data-query] button")
    for row in (1, 0):
        press(page, rows.nth(row))
        expect(rows.nth(row)).to_have_attribute("aria-pressed", "true")
        expect(page.locator(".question small")).to_have_text(f"query-{row + 1}.png")
        _, verdict = page.locator("#cards .verdict").inner_text().split(" ", 1)  # after its sign
        expect(said(page)).to_have_text(verdict)


def test_a_list_of_choices_closes_when_one_goes_on(fresh: Page) -> None:
    open_tab(fresh, "Evaluate")
    box = fresh.locator("#evaluate-against input")
    press(fresh, "#evaluate-seed input", "Tab")
    expect(box).to_be_focused()
    expect(box).to_have_attribute("aria-expanded", "true")
    fresh.keyboard.press("Tab")
    expect(box).to_have_attribute("aria-expanded", "false")
    expect(fresh.locator("#evaluate")).to_be_focused()
    before = box.input_value()
    press(fresh, box, "ArrowDown")
    fresh.keyboard.press("Enter")
    expect(box).not_to_have_value(before)
    expect(box).to_have_attribute("aria-expanded", "false")
    expect(box).to_be_focused()
    box.click()
    expect(box).to_have_attribute("aria-expanded", "true")
    fresh.keyboard.press("Escape")
    expect(box).to_have_attribute("aria-expanded", "false")
    box.click()
    expect(box).to_have_attribute("aria-expanded", "true")
    fresh.keyboard.press("Tab")
    expect(box).to_have_attribute("aria-expanded", "false")
    expect(fresh.locator("#evaluate")).to_be_focused()
