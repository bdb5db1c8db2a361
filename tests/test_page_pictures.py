"""The page in a real browser: pictures of one's own, given one way or another."""

from __future__ import annotations

import base64
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import BrowserContext, Page, expect
from visiting import (
    classify,
    draw_on,
    import_zip,
    labels,
    name_class,
    thumbnails,
    toast,
    two_classes,
    upload,
)

from fewshot.class_names import quoted


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
        expect(thumbnails(page, "#pictures-1")).to_have_count(number)
    assert drop(page, "#queries", drawings(20, range(7, 9)))
    expect(thumbnails(page, "#queries")).to_have_count(3)
    for place in ("#actions", "header.masthead"):  # else the browser would open them
        assert drop(page, place, drawings(20, range(1)))
    page.wait_for_timeout(500)
    expect(thumbnails(page, ".pictures")).to_have_count(len(places) + 3)
    expect(page.locator(".dropping")).to_have_count(0)


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
    expect(note).to_be_hidden()
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for i in range(6):
            archive.write(tmp_path / f"photo-{i}.png", f"class {i % 2}/{i}.png")
    import_zip(page, str(tmp_path / "photos.zip"))
    expect(note).to_be_visible()
    page.click("#example-alphabet")
    expect(note).to_be_hidden()
    # Barely a photo, and as many drawings: the first one, in an empty gallery, counts at once.
    page.click("#clear-all")
    expect(thumbnails(page, "#pictures-1")).to_have_count(0)
    barely = Image.new("RGB", (96, 96), "white")
    barely.paste(Image.open(tmp_path / "photo-0.png").resize((70, 70)))
    barely.save(tmp_path / "barely.png")
    upload(page, "#pictures-1", [str(tmp_path / "barely.png")])
    expect(note).to_be_visible()
    page.click("#pad-2 summary")
    draw_on(page, "#pad-2", [[(0.2, 0.2), (0.8, 0.8)]])
    page.click("#pad-2 [data-do=add]")
    expect(thumbnails(page, "#pictures-2")).to_have_count(1)
    expect(note).to_be_hidden()


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
    expect(page.locator("#classify")).to_be_visible()
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
