"""The cache folder, and keys that follow content."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from fewshot.data.cache import cache_folder, content_key, load_array, make_room
from fewshot.types import InputError


@pytest.fixture(autouse=True)
def no_cache_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("FEWSHOT_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def test_cache_folder_goes_by_the_nearest_setting(tmp_path: Path, monkeypatch) -> None:
    assert cache_folder() == tmp_path / "home" / ".cache" / "fewshot"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "fewshot"
    monkeypatch.setenv("FEWSHOT_CACHE", str(tmp_path / "own" / "deep"))
    assert cache_folder() == tmp_path / "own" / "deep"
    assert cache_folder().is_dir()


def test_empty_settings_count_as_none(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("FEWSHOT_CACHE", "")
    assert cache_folder() == tmp_path / "home" / ".cache" / "fewshot"


def test_key_of_a_file_is_its_bytes_alone(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b.zip"
    data = bytes(range(256)) * 10_000  # more than one block of reading
    a.write_bytes(data)
    b.write_bytes(data)
    os.utime(b, ns=(1, 1))
    assert content_key(a) == content_key(b)
    b.write_bytes(data[:-1] + b"\0")
    assert content_key(a) != content_key(b)
    b.write_bytes(data[: 1 << 20])
    assert content_key(a) != content_key(b)


def folder_of(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
        os.utime(root / name, ns=(10**18, 10**18))
    return root


FILES = {"x/1": "one", "x/2": "two", "y/1": "three"}


def test_key_of_a_folder_is_its_listing(tmp_path: Path) -> None:
    a = folder_of(tmp_path / "a", FILES)
    key = content_key(a)
    assert key == content_key(a)
    # The same files made in another order somewhere else.
    b = folder_of(tmp_path / "b", dict(reversed(FILES.items())))
    assert content_key(b) == key


@pytest.mark.parametrize(
    "change", ["added", "removed", "renamed", "moved", "regrouped", "longer", "touched"]
)
def test_key_of_a_folder_follows_every_change(tmp_path: Path, change: str) -> None:
    root = folder_of(tmp_path / "a", FILES)
    key = content_key(root)
    if change == "added":
        folder_of(root, {"y/2": "four"})
    elif change == "removed":
        (root / "y/1").unlink()
    elif change == "renamed":
        (root / "x/2").rename(root / "x/3")
    elif change == "moved":
        (root / "x/2").rename(root / "y/2")
    elif change == "regrouped":
        (root / "y").rename(root / "z")
    elif change == "longer":
        folder_of(root, {"x/1": "ones"})
    elif change == "touched":
        os.utime(root / "x/1", ns=(10**18, 10**18 + 1))
    assert content_key(root) != key


def test_key_of_a_folder_follows_its_links(tmp_path: Path) -> None:
    a, b = (folder_of(tmp_path / "real" / name, {"x/1": name}) for name in ("one", "three"))
    keys = []
    for name, target in (("c", a), ("d", b), ("e", a)):
        root = tmp_path / name
        root.mkdir()
        (root / "alphabet").symlink_to(target)
        keys.append(content_key(root))
    assert keys[0] == keys[2] != keys[1]
    (a / "up").symlink_to(tmp_path / "real" / "one")  # for ever, if it were followed
    (a / "x" / "lock").symlink_to("nobody@nowhere")
    (a / "x" / os.fsdecode(b"\xff.png")).write_text("no UTF-8")
    assert content_key(tmp_path / "c") not in keys


def test_room_is_made_by_deleting_the_longest_unused() -> None:
    folder = cache_folder()
    for age, name in enumerate(["kept-new", "kept-old", "kept-oldest", "other-oldest"]):
        (folder / name).write_bytes(bytes(100))
        os.utime(folder / name, (1_000_000 - age, 1_000_000 - age))
    make_room("kept-*", size=100, budget=400)
    assert len(list(folder.iterdir())) == 4
    make_room("kept-*", size=150, budget=400)
    assert {path.name for path in folder.iterdir()} == {"kept-new", "kept-old", "other-oldest"}
    make_room("kept-*", size=500, budget=400)  # then what is written is alone
    assert {path.name for path in folder.iterdir()} == {"other-oldest"}


@pytest.mark.parametrize("damaged", [b"", b"\x93NUMPY cut short", None])
def test_half_an_array_is_none(damaged: bytes | None) -> None:
    kept = cache_folder() / "kept.npy"
    assert load_array(kept) is None
    np.save(kept, np.arange(6))
    os.utime(kept, (1, 1))
    np.testing.assert_array_equal(load_array(kept), np.arange(6))
    assert kept.stat().st_mtime > 1  # used now, so the last to go
    np.testing.assert_array_equal(load_array(kept, "r"), np.arange(6))
    kept.write_bytes(kept.read_bytes()[:-8] if damaged is None else damaged)
    assert load_array(kept) is None and load_array(kept, "r") is None


def test_a_cache_that_cannot_be_made_is_said(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("FEWSHOT_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(InputError, match="name another in FEWSHOT_CACHE"):
        cache_folder()
