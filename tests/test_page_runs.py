"""The page in a real browser: a run waits, is stopped, and leaves what arrives meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, expect
from visiting import (
    card,
    choose_model,
    classify,
    draw_on,
    held,
    import_zip,
    name_class,
    open_tab,
    stop_at_once,
    thumbnails,
    toast,
    two_classes,
    until,
    upload,
)


def test_stop_gives_the_page_back(page: Page, zip_of: Callable, drawings: Callable) -> None:
    import_zip(page, zip_of("many.zip", n_classes=12, shots=4, first=700))
    expect(page.locator(".class-list li")).to_have_count(12)
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
    expect(page.locator("#cards .card")).to_have_count(5)
    expect(page.locator("#said-aloud")).to_have_text("The answers are here.")
    expect(page.locator("#problem-said .notice")).to_have_count(0)


def test_looking_can_be_stopped(answered: Page) -> None:
    answered.locator("#look").click()
    stop_at_once(answered)
    expect(answered.locator("#problem-said")).to_contain_text("Stopped")
    expect(answered.locator("#look")).to_be_enabled()
    expect(answered.locator("#look-progress")).to_be_hidden()
    expect(answered.locator(".card .look")).to_have_count(0)


def test_who_waits_for_others_is_told_so_after_a_while(page: Page, drawings: Callable) -> None:
    two_classes(page, drawings)
    told = "getComputedStyle(document.querySelector('.waiting'), '::after').height !== '0px'"
    with held(page, "queue/join?"):
        page.click("#classify")
        expect(page.locator("#progress")).to_contain_text("Waiting for the engine")
        assert not page.evaluate(told)  # most waits are none
        page.wait_for_function(told)
    expect(page.locator("#cards .card")).to_have_count(5)


def test_a_run_that_waits_for_uploads_says_so(page: Page, drawings: Callable) -> None:
    def press_during_upload(gallery: str, button: str, progress: str) -> None:
        with held(page, "queue/join?"):
            with held(page, "upload?") as asked:
                page.set_input_files(f"{gallery} input[type=file]", drawings(14, range(4, 5)))
                until(page, lambda: asked)
                page.click(button)
                expect(page.locator(progress)).to_contain_text("Waiting for the files")
            expect(page.locator(progress)).to_contain_text("Waiting for the engine")

    two_classes(page, drawings)
    press_during_upload("#queries", "#classify", "#progress")
    expect(page.locator("tr[data-query]")).to_have_count(2)
    open_tab(page, "Names alone")
    page.fill("#names textarea", "heart\nstar")
    upload(page, "#names-queries", drawings(4, range(7, 8)))
    press_during_upload("#names-queries", "#find-names", "#names-progress")
    expect(page.locator("#names-message")).to_contain_text("2 names, 2 pictures")


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
            until(page, lambda: len(asked) > 1 or made in names())
            page.set_input_files("#pictures-1 input[type=file]", file)
            expect(page.locator(f'#pictures-1 img[src$="{Path(file).name}"]')).to_be_visible()

    def draw() -> None:
        page.click("#pad-1 [data-do=add]")
        draw_on(page, "#pad-1", [[(0.5, 0.2), (0.5, 0.8)]])

    add_meanwhile(draw, "drawing-2.png", *drawings(20, range(1, 2)))
    expect(thumbnails(page, "#pictures-1")).to_have_count(3)
    assert names() == ["glyph20-0.png", "drawing-2.png", "glyph20-1.png"]
    expect(page.locator("#pad-1 canvas.unsent")).to_be_visible()
    # One that cannot be read goes, a TIFF is shown, and one more comes meanwhile.
    broken, scan = tmp_path / "broken.png", tmp_path / "scan.tif"
    broken.write_bytes(b"nothing of the kind")
    Image.new("RGB", (40, 40), "white").save(scan)
    both = [str(broken), str(scan)]
    give = partial(page.set_input_files, "#pictures-1 input[type=file]", both)
    add_meanwhile(give, "scan.png", *drawings(20, range(2, 3)))
    expect(thumbnails(page, "#pictures-1")).to_have_count(5)
    assert names()[2:] == ["glyph20-1.png", "scan.png", "glyph20-2.png"]
    # The server takes them all, and what is added while the first upload lasts is not replaced.
    name_class(page, 1, "Loop")
    name_class(page, 2, "Fork")
    page.click("#pad-1 [data-do=clear]")
    page.click("#pad-2 summary")
    draw_on(page, "#pad-2", [[(0.2, 0.5), (0.8, 0.5)]])
    with held(page, "upload?", 1) as asked:
        page.set_input_files("#pictures-2 input[type=file]", drawings(14, range(1)))
        until(page, lambda: asked)
        page.click("#pad-2 [data-do=add]")
        page.wait_for_timeout(1000)
    expect(thumbnails(page, "#pictures-2")).to_have_count(2)
    upload(page, "#queries", drawings(14, range(2, 3)))
    classify(page)


def test_settings_are_used_and_can_be_reset(page: Page, drawings: Callable) -> None:
    two_classes(page, drawings)
    page.locator("#settings button").first.click()
    page.get_by_label("Temperature").fill("warm")
    page.click("#classify")
    expect(toast(page)).to_contain_text("The temperature 'warm' is no number")
    page.get_by_label("Temperature").fill("0.001")
    page.click("#classify")
    expect(card(page, "triplet").locator(".share").first).to_have_text("50%")
    model = page.locator("#clip-model input")
    chosen = model.input_value()
    choose_model(page, "ViT-B-32")
    page.click("#reset-settings")
    expect(page.get_by_label("Temperature")).to_have_value("")
    expect(model).to_have_value(chosen)
    page.click("#classify")
    expect(card(page, "triplet").locator(".share").first).not_to_have_text("50%")
