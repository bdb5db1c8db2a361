"""The page in a real browser: classes come, go, are replaced and brought back."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

from playwright.sync_api import Page, expect
from visiting import (
    class_names,
    classify,
    draw_on,
    held,
    import_zip,
    labels,
    n_slots,
    name_class,
    open_tab,
    thumbnails,
    two_classes,
    until,
    upload,
)

from fewshot.examples import example_task


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
    expect(page.locator("#cards .card")).to_have_count(5)
    last = class_names(page)[-1]

    def first_removed_while(n_classes: int, address: str, start: Callable) -> None:
        """Remove the first class while what is asked for the last one is held back."""
        with held(page, address) as asked:
            start()
            until(page, lambda: asked)
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
            until(page, lambda: asked)
            replace()
            expect(page.locator("#given.waiting")).to_be_visible()
            page.wait_for_timeout(500)
            expect(thumbnails(page, "#pictures-1")).to_have_count(1)
        expect(page.locator("#given.waiting")).to_have_count(0)
        name = page.get_by_label("Name of class 1", exact=True)
        expect(name).not_to_have_value(f"Class of way {number}")
        expect(page.locator("#bring-back")).to_be_enabled()
        page.click("#bring-back")
        expect(name).to_have_value(f"Class of way {number}")
        expect(thumbnails(page, "#pictures-1")).to_have_count(3)
        page.click("#clear-all")
        expect(thumbnails(page, "#pictures-1")).to_have_count(0)


def test_what_others_replace_can_be_brought_back(
    page: Page, drawings: Callable, zip_of: Callable, tmp_path: Path
) -> None:
    two_classes(page, drawings)
    before = class_names(page)
    expect(page.locator("#bring-back")).to_be_hidden()
    page.click("#example-one-shot")
    expect(page.locator("#message")).to_contain_text(example_task("one-shot").title)
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


def test_a_gallery_that_its_cross_cleared_can_be_brought_back(
    page: Page, drawings: Callable
) -> None:
    upload(page, "#pictures-1", drawings(20, range(3)))
    page.locator("#pictures-1").get_by_role("button", name="Clear", exact=True).click()
    expect(thumbnails(page, "#pictures-1")).to_have_count(0)
    page.click("#bring-back")
    expect(thumbnails(page, "#pictures-1")).to_have_count(3)


def test_a_reload_loses_nothing_given(page: Page, drawings: Callable, zip_of: Callable) -> None:
    under_way = set()  # what a reload would end, which the browser's console tells of
    page.on("request", lambda one: "heartbeat" in one.url or under_way.add(one))  # which stays
    for ended in ("requestfinished", "requestfailed"):
        page.on(ended, lambda one: under_way.discard(one))

    def reload() -> None:
        quiet = [False] * 10  # of a change the server is asked a moment later
        until(page, lambda: quiet.append(not under_way) or all(quiet[-10:]))
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
    expect(page.get_by_label("Name of class 2", exact=True)).to_have_value("Fork")
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
    expect(page.locator(".class-list li")).to_have_count(12)
    page.wait_for_function("sessionStorage.getItem('classify').includes('letters.zip')")
    reload()
    expect(page.locator(".class-list li")).to_have_count(12)
    expect(page.locator(".slot")).to_have_count(0)
    classify(page)
    assert all(label.startswith("Letter") for label in labels(page))


def test_buttons_of_a_class_say_which_to_screen_readers(fresh: Page) -> None:
    session = fresh.context.new_cdp_session(fresh)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    of_role = [one for one in nodes if one.get("role", {}).get("value") == "button"]
    names = [one["name"]["value"].split() for one in of_role if one.get("name")]
    for number in ("1", "2"):
        assert ["Remove", "class", number] in names
        assert any(name[:2] == ["Describe", "it"] and name[-1] == number for name in names)
