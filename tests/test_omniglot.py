"""Omniglot from folders and zips against a plain reading of the files; the cache; refusals."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
from omniglot_tree import SIDE, write_omniglot_tree
from PIL import Image

from fewshot.data import omniglot
from fewshot.data.omniglot import Omniglot, load_omniglot, split_alphabets
from fewshot.types import InputError

ALPHABETS, CHARACTERS, DRAWERS = 3, 2, 4


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FEWSHOT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree no test may change."""
    root = tmp_path_factory.mktemp("omniglot")
    write_omniglot_tree(root, alphabets=ALPHABETS, characters=CHARACTERS, drawers=DRAWERS)
    write_omniglot_tree(root, alphabets=1, characters=2, drawers=DRAWERS, split="images_evaluation")
    return root


@pytest.fixture
def tree(original: Path, tmp_path: Path) -> Path:
    """A copy to change."""
    return Path(shutil.copytree(original, tmp_path / "tree"))


def drawing_files(split: Path) -> list[Path]:
    return sorted(split.glob("*/*/*.png"))


def zipped(split: Path, target: Path, litter: bool = False) -> Path:
    """``target/<split>.zip`` as the original is laid out; with what a Mac adds, if asked."""
    target.mkdir(parents=True, exist_ok=True)
    path = target / f"{split.name}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in reversed(drawing_files(split)):  # in no helpful order
            inside = Path(split.name) / file.relative_to(split)
            archive.write(file, inside.as_posix())
            if litter:
                double = Path("__MACOSX") / inside.with_name(f"._{inside.name}")
                archive.writestr(double.as_posix(), b"Mac OS X" + bytes(30))
        if litter:
            archive.writestr(f"{split.name}/.DS_Store", b"junk")
            archive.writestr(f"{split.name}/readme.txt", b"hello")
    return path


def check(data: Omniglot, split: Path) -> None:
    """Compare with a reading of every file by itself."""
    alphabets = sorted(folder.name for folder in split.iterdir())
    expected = []
    for alphabet in alphabets:
        for character in sorted(folder.name for folder in (split / alphabet).iterdir()):
            files = sorted((split / alphabet / character).iterdir())
            expected.append((alphabet, character, files))
    assert data.classes == tuple(f"{alphabet}/{character}" for alphabet, character, _ in expected)
    assert data.alphabet_names == tuple(alphabets)
    assert data.alphabets.tolist() == [alphabets.index(alphabet) for alphabet, _, _ in expected]
    assert data.images.dtype == np.uint8
    assert data.images.shape == (len(expected), len(expected[0][2]), SIDE, SIDE)
    for drawings, (_, _, files) in zip(data.images, expected, strict=True):
        for drawing, file in zip(drawings, files, strict=True):
            np.testing.assert_array_equal(drawing, np.asarray(Image.open(file).convert("L")))


def check_equal(a: Omniglot, b: Omniglot) -> None:
    np.testing.assert_array_equal(a.images, b.images)
    np.testing.assert_array_equal(a.alphabets, b.alphabets)
    assert (a.classes, a.alphabet_names) == (b.classes, b.alphabet_names)
    assert a.images.dtype == b.images.dtype
    assert a.alphabets.dtype == b.alphabets.dtype


def test_folder(original: Path) -> None:
    data = load_omniglot("background", original)
    check(data, original / "images_background")
    assert len(data.classes) == ALPHABETS * CHARACTERS
    # Ink is dark on light, and drawings are mostly paper.
    assert set(np.unique(data.images)) == {0, 255}
    assert (data.images == 255).mean() > 0.8


def test_the_other_split(original: Path) -> None:
    check(load_omniglot("evaluation", original), original / "images_evaluation")


@pytest.mark.parametrize("litter", [False, True])
def test_zip_gives_the_same_as_the_folder(original: Path, tmp_path: Path, litter: bool) -> None:
    zipped(original / "images_background", tmp_path / "zips", litter)
    data = load_omniglot("background", tmp_path / "zips")
    check(data, original / "images_background")
    check_equal(data, load_omniglot("background", original))


def test_one_split_alone_is_enough_for_it(original: Path, tmp_path: Path) -> None:
    zipped(original / "images_evaluation", tmp_path / "half")
    check(load_omniglot("evaluation", tmp_path / "half"), original / "images_evaluation")
    with pytest.raises(InputError, match=r"images_background.*images_background\.zip"):
        load_omniglot("background", tmp_path / "half")


def test_hidden_files_are_passed_over(tree: Path, original: Path) -> None:
    folder = tree / "images_background" / "Background_1" / "character01"
    (folder / "._0001_01.png").write_bytes(b"Mac OS X" + bytes(30))  # as on a disk without forks
    (tree / "images_background" / ".DS_Store").write_bytes(b"junk")
    check(load_omniglot("background", tree), original / "images_background")


# The cached copy


@pytest.fixture
def unreadable(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """From here on, reading the drawings' files fails."""

    def fail(*args: object) -> None:
        raise AssertionError("the files were read again")

    monkeypatch.setattr(omniglot, "read_omniglot", fail)


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_a_second_load_comes_from_the_cache_and_is_equal(
    original: Path, tmp_path: Path, monkeypatch, request: pytest.FixtureRequest, kind: str
) -> None:
    root = original
    if kind == "zip":
        root = zipped(original / "images_background", tmp_path / "zips").parent
    first = load_omniglot("background", root)
    request.getfixturevalue("unreadable")
    check_equal(first, load_omniglot("background", root))
    check(load_omniglot("background", root), original / "images_background")
    with pytest.raises(AssertionError, match="read again"):
        monkeypatch.setenv("FEWSHOT_CACHE", str(tmp_path / "other cache"))
        load_omniglot("background", root)


def test_the_splits_are_cached_apart(original: Path) -> None:
    for _ in range(2):
        check(load_omniglot("background", original), original / "images_background")
        check(load_omniglot("evaluation", original), original / "images_evaluation")


def test_changed_content_is_read_anew(tree: Path) -> None:
    before = load_omniglot("background", tree)
    file = drawing_files(tree / "images_background")[5]
    Image.fromarray(~np.asarray(Image.open(file))).save(file)
    os.utime(file, ns=(10**18, 10**18))
    after = load_omniglot("background", tree)
    check(after, tree / "images_background")
    assert (before.images != after.images).any()


def test_a_changed_zip_is_read_anew(tree: Path, tmp_path: Path) -> None:
    root = zipped(tree / "images_background", tmp_path / "zips").parent
    load_omniglot("background", root)
    shutil.rmtree(tree / "images_background" / "Background_2")
    zipped(tree / "images_background", tmp_path / "zips")
    check(load_omniglot("background", root), tree / "images_background")


def test_grey_drawings_are_the_same_from_the_cache(tree: Path) -> None:
    for file in drawing_files(tree / "images_background"):
        grey = np.asarray(Image.open(file).convert("L")).clip(40, 200)
        Image.fromarray(grey).save(file)
    first = load_omniglot("background", tree)
    check_equal(first, load_omniglot("background", tree))


def test_a_broken_cached_copy_is_read_anew(original: Path, cache: Path) -> None:
    first = load_omniglot("background", original)
    (kept,) = cache.glob("*.npz")
    for broken in (b"", kept.read_bytes()[:200], b"garbage" * 100):
        kept.write_bytes(broken)
        check_equal(first, load_omniglot("background", original))


def test_a_cache_that_cannot_be_written_costs_time_only(
    original: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise PermissionError

    expected = omniglot.read_omniglot(original / "images_background")
    monkeypatch.setattr(omniglot, "write_atomically", refused)
    check_equal(load_omniglot("background", original), expected)


# select and pool


def test_select_keeps_the_given_classes_in_the_given_order(original: Path) -> None:
    data = load_omniglot("background", original)
    few = data.select(np.array([4, 0, 3]))
    assert few.classes == tuple(data.classes[i] for i in (4, 0, 3))
    assert few.alphabets.tolist() == [2, 0, 1]
    assert few.alphabet_names == data.alphabet_names
    np.testing.assert_array_equal(few.images, np.stack([data.images[i] for i in (4, 0, 3)]))


def test_pool_has_every_drawing_as_rgb_with_its_label(original: Path) -> None:
    data = load_omniglot("background", original)
    pool = data.pool()
    assert len(pool.pictures) == len(pool.labels) == ALPHABETS * CHARACTERS * DRAWERS
    assert pool.classes == data.classes
    assert pool.group_names == data.alphabet_names
    assert pool.groups.tolist() == data.alphabets.tolist()
    for i, (picture, label) in enumerate(zip(pool.pictures, pool.labels, strict=True)):
        assert label == i // DRAWERS
        assert picture.name == f"{data.classes[label]}/{i % DRAWERS + 1:02d}.png"
        assert picture.pixels.shape == (SIDE, SIDE, 3)
        for channel in range(3):
            drawing = data.images[label, i % DRAWERS]
            np.testing.assert_array_equal(picture.pixels[:, :, channel], drawing)
    assert np.shares_memory(pool.pictures[3].pixels, data.images)
    assert len({picture.digest for picture in pool.pictures}) == len(pool.pictures)


# Refusals


def one_sentence(refusal: pytest.ExceptionInfo) -> str:
    text = str(refusal.value)
    assert "\n" not in text
    assert text.endswith(".")
    return text


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_nothing_inside_is_told(tmp_path: Path, kind: str) -> None:
    if kind == "folder":
        (tmp_path / "images_background" / "A").mkdir(parents=True)
    else:
        zipfile.ZipFile(tmp_path / "images_background.zip", "w").close()
    with pytest.raises(InputError) as refusal:
        load_omniglot("background", tmp_path)
    assert "images_background" in one_sentence(refusal)


def test_no_such_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError) as refusal:
        load_omniglot("background", tmp_path / "nowhere")
    assert "nowhere" in one_sentence(refusal)


@pytest.mark.parametrize("data", [b"", b"no picture", None])
def test_a_broken_drawing_is_told(tree: Path, data: bytes | None) -> None:
    file = drawing_files(tree / "images_background")[2]
    file.write_bytes(file.read_bytes()[:100] if data is None else data)
    with pytest.raises(InputError) as refusal:
        load_omniglot("background", tree)
    assert file.name in one_sentence(refusal)


def test_a_missing_drawing_is_told(tree: Path) -> None:
    drawing_files(tree / "images_background")[2].unlink()
    with pytest.raises(InputError, match="differing numbers"):
        load_omniglot("background", tree)


@pytest.mark.parametrize("whole_character", [False, True])
def test_drawings_of_another_size_are_told(tree: Path, whole_character: bool) -> None:
    files = drawing_files(tree / "images_background")
    for file in files[DRAWERS : 2 * DRAWERS] if whole_character else files[-1:]:
        Image.open(file).resize((50, 105)).save(file)
    with pytest.raises(InputError, match="sizes"):
        load_omniglot("background", tree)


def cut(data: bytearray) -> None:
    del data[len(data) // 2 :]


def wrong_checksum(data: bytearray) -> None:
    # In the directory, the checksum of the first entry is 16 bytes after its start.
    data[data.find(b"PK\x01\x02") + 16] ^= 0xFF


def wrong_block(data: bytearray) -> None:
    # The first entry's data starts after a header of 30 bytes and its name; block type 3 is none.
    data[30 + int.from_bytes(data[26:28], "little")] = 0b111


def encrypted(data: bytearray) -> None:
    data[data.find(b"PK\x01\x02") + 8] |= 1


def unknown_compression(data: bytearray) -> None:
    data[data.find(b"PK\x01\x02") + 10] = 77


@pytest.mark.parametrize(
    "damage", [cut, wrong_checksum, wrong_block, encrypted, unknown_compression]
)
def test_a_damaged_zip_is_told(original: Path, tmp_path: Path, damage) -> None:
    path = zipped(original / "images_evaluation", tmp_path / "zips")
    data = bytearray(path.read_bytes())
    damage(data)
    path.write_bytes(data)
    with pytest.raises(InputError) as refusal:
        load_omniglot("evaluation", path.parent)
    assert "images_evaluation.zip" in one_sentence(refusal)


def test_something_else_under_the_name_is_told(tmp_path: Path) -> None:
    for name in ("images_background.zip", "images_background"):
        (tmp_path / name).write_bytes(b"no zip")
        with pytest.raises(InputError):
            load_omniglot("background", tmp_path)


# Download


@pytest.mark.parametrize(
    "error", [URLError("Name or service not known"), RuntimeError("File not found"), OSError()]
)
def test_without_a_network_it_says_what_to_do(monkeypatch, error: Exception) -> None:
    import torchvision.datasets

    def fail(*args: object, **kwargs: object) -> None:
        raise error

    monkeypatch.setattr(torchvision.datasets, "Omniglot", fail)
    with pytest.raises(InputError) as refusal:
        load_omniglot("background")
    text = one_sentence(refusal)
    assert "--data" in text
    assert (str(error) or "OSError") in text


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_download_is_kept_in_the_cache(
    original: Path, cache: Path, monkeypatch, interrupted: bool
) -> None:
    """As torchvision leaves it: the zip, checked by its hash, and the folder unpacked from it.

    It checks the zip alone, so what an interrupted unpacking left is never completed.
    """
    import torchvision.datasets

    def download(root: str, background: bool, download: bool) -> None:
        assert background
        assert download
        assert Path(root).is_relative_to(cache)
        target = Path(root) / "omniglot-py"
        if not target.exists():
            zipped(original / "images_background", target)
            shutil.copytree(original / "images_background", target / "images_background")
            if interrupted:
                shutil.rmtree(target / "images_background" / "Background_3")

    monkeypatch.setattr(torchvision.datasets, "Omniglot", download)
    for _ in range(2):
        check(load_omniglot("background"), original / "images_background")


def test_the_latin_alphabet_goes_by_its_letters() -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (30, 2, 9, 9), dtype=np.uint8)
    order = rng.permutation(26)
    names = [f"Latin/character{i + 1:02d}" for i in order] + [f"Greek/character{i}" for i in "1234"]
    data = Omniglot(images, tuple(names), np.array([1] * 26 + [0] * 4), ("Greek", "Latin"))
    latin = data.latin()
    assert latin.classes[:3] == ("letter a", "letter b", "letter c") and len(latin.classes) == 26
    for place, character in enumerate(order):
        np.testing.assert_array_equal(latin.images[character], images[place])
    with pytest.raises(InputError, match="Latin"):
        Omniglot(images[:4], tuple(names[-4:]), np.zeros(4, int), ("Greek",)).latin()


def test_alphabets_are_split_whole() -> None:
    groups = np.array([3, 3, 0, 1, 1, 1, 0, 5])
    training, held_out = split_alphabets(groups, 2)
    assert sorted([*training.tolist(), *held_out.tolist()]) == list(range(8))
    assert not set(groups[training]) & set(groups[held_out])
    assert len(set(groups[held_out])) == 2
    with pytest.raises(InputError, match="Keeping 4 alphabets for validation leaves none of the 4"):
        split_alphabets(groups, 4)
