"""What a zip holds is said before anything is measured on it."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import png
from PIL import Image

from fewshot.textures import TEXTURES, photograph
from fewshot.ui import inputs
from fewshot.ui.busy import progress_bar
from fewshot.ui.zip_note import zip_note


def photo(texture: str, number: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(photograph(texture, number)).save(buffer, "PNG")
    return buffer.getvalue()


def test_classes_and_pictures_are_counted(zip_of: Callable[..., str]) -> None:
    (said,) = zip_note(zip_of("alike.zip", 3, 4), "drawings")
    assert "3 classes of 4 pictures:" in said and "Left out" not in said
    more = {"Letter 0/more.png": png(0, 3), "x/y.png": png(5, 3), "x/z.txt": b"no picture"}
    *_, said = zip_note(zip_of("mixed.zip", 2, 2, more), "drawings")
    assert "3 classes of 1 to 3 pictures:" in said
    assert "Left out" in said and "z.txt" in said


@pytest.mark.parametrize(("preset", "warned"), [("drawings", True), ("photos", False)])
def test_photos_are_remarked_on(zip_of: Callable[..., str], preset: str, warned: bool) -> None:
    photos = {f"{name}/{i}.png": photo(name, i) for name in TEXTURES for i in range(2)}
    *_, said = zip_note(zip_of("photos.zip", 0, 0, photos), preset)
    assert f"{len(TEXTURES)} classes of 2 pictures:" in said
    assert ("choose Photos under" in said) == warned


def test_what_cannot_be_used_is_one_sentence(zip_of: Callable[..., str], tmp_path: Path) -> None:
    broken = tmp_path / "broken.zip"
    broken.write_bytes(b"PK no zip")
    (said,) = zip_note(str(broken), "drawings")
    assert "is not a zip file or is damaged" in said and "problem" in said
    *_, said = zip_note(zip_of("one.zip", 1, 2), "drawings")
    assert "at least 2 classes are needed" in said and "problem" in said
    assert list(zip_note(None, "drawings")) == [""]


def test_how_far_it_is_read_is_told(zip_of: Callable[..., str], monkeypatch) -> None:
    monkeypatch.setattr(inputs, "PAUSE_EVERY", 0)
    *steps, _ = zip_note(zip_of("slow.zip", 2, 2), "drawings")
    assert steps[0] == progress_bar(inputs.READING, 0.0)
    assert len(steps) == 4
