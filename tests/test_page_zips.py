"""The page in a real browser: a whole support set at once."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect
from visiting import (
    class_names,
    classify,
    held,
    import_zip,
    labels,
    thumbnails,
    toast,
    two_classes,
    upload,
)


def test_a_small_zip_fills_the_slots(page: Page, zip_of: Callable, drawings: Callable) -> None:
    import_zip(page, zip_of("letters.zip", n_classes=3, shots=2))
    expect(page.locator(".slot")).to_have_count(3)
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
    expect(page.get_by_label("Name of class 3", exact=True)).to_have_value("Letter 2")
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
    expect(items).to_have_count(12)
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
