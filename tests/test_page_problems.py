"""The page in a real browser: what goes wrong is said in a sentence."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect
from visiting import (
    choose_model,
    classify,
    held,
    labels,
    name_class,
    open_tab,
    thumbnails,
    toast,
    two_classes,
    upload,
)

from fewshot.ui.evaluate_data import omniglot_is_here


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
    expect(toast(page)).to_contain_text("The model hub did not answer")
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


@pytest.mark.parametrize("width", [390, 800])
def test_what_goes_wrong_hides_no_button(open_page: Callable[..., Page], width: int) -> None:
    page = open_page(width, 844)
    page.click("#classify")
    expect(toast(page)).to_be_visible()
    bar = page.locator("#actions").bounding_box()
    assert bar["y"] < 844  # where a toast would lie, too
    said = page.locator(".toast-wrap").bounding_box()
    assert said["y"] + said["height"] <= bar["y"]
