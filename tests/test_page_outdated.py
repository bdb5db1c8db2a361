"""The page in a real browser: answers that are no longer those to what is shown are marked."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect
from visiting import classify, import_zip, name_class, outdated, stop_at_once, two_classes, upload


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
    expect(outdated(page)).to_have_count(0)
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
        expect(page.locator(".class-list li")).to_have_count(12)

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
            expect(page.locator("#classify")).to_be_enabled()
            expect(page.locator("#cards .card")).to_have_count(5)
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
    expect(outdated(page)).to_have_count(1)
    page.click("#classify")
    stop_at_once(page)
    expect(page.locator("#problem-said")).to_contain_text("Stopped")
    expect(page.locator("#stop")).to_be_hidden()
    for button in ("#classify", "#clear-all", "#example-alphabet"):
        expect(page.locator(button)).to_be_enabled()
    expect(outdated(page)).to_have_count(1)
