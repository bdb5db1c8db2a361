"""Zips that visitors take away: whole, safe to unpack anywhere, and taken back by an import."""

from __future__ import annotations

import zipfile
from pathlib import Path

import gradio as gr
import numpy as np
import pytest

from fewshot.class_folders import read_class_folders
from fewshot.types import Comparison, MethodResult, Prediction
from fewshot.ui import classes_panel
from fewshot.ui.results import Results
from fewshot.ui.sorting import sorted_zip
from fewshot.ui.zips import zip_of_folders

from conftest import png  # isort: skip


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "gradio"))


def written(folder: Path, name: str, glyph: int) -> str:
    """A drawing in a folder of its own, as Gradio keeps uploads."""
    path = folder / f"upload{glyph}" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png(glyph, 1))
    return str(path)


def test_an_import_takes_back_what_was_saved(tmp_path: Path) -> None:
    a, b, c = (written(tmp_path, "same.png", glyph) for glyph in range(3))
    saved = Path(zip_of_folders("classes.zip", [("A", [a, b]), ("a", [c]), ("empty", [])]))
    found = read_class_folders(saved)
    assert not found.skipped
    assert [(name, [p.name for p in pictures]) for name, pictures in found.classes] == [
        ("A", ["A/same (2).png", "A/same.png"]),
        ("a", ["a/same.png"]),
    ]
    with zipfile.ZipFile(saved) as archive:
        assert archive.read("A/same.png") == Path(a).read_bytes()
        assert archive.read("A/same (2).png") == Path(b).read_bytes()
        assert archive.testzip() is None


@pytest.mark.parametrize(
    ("label", "folder"),
    [
        ("../up", "_.._up"),
        ("a/b\\c:d", "a_b_c_d"),
        ("..", "_"),
        (".hidden", "_.hidden"),
        ("CON", "_CON"),
        ("lpt1.old", "_lpt1.old"),
        ("Conifer", "Conifer"),
        ("ends.", "ends"),
        ('<b>"?', "_b___"),
        ("Ünïcødé 字", "Ünïcødé 字"),
    ],
)
def test_a_folder_is_never_a_path(tmp_path: Path, label: str, folder: str) -> None:
    saved = zip_of_folders("z.zip", [(label, [written(tmp_path, "a.png", 0)])])
    assert zipfile.ZipFile(saved).namelist() == [f"{folder}/a.png"]


def test_letters_stay_apart_where_file_systems_take_them_for_one(tmp_path: Path) -> None:
    a, b = (written(tmp_path, f"{glyph}.png", glyph) for glyph in range(2))
    saved = zip_of_folders("z.zip", [("A", [a]), ("a", [b])], anywhere=True)
    assert zipfile.ZipFile(saved).namelist() == ["A/0.png", "a (2)/1.png"]


def test_the_same_content_is_the_same_file(tmp_path: Path) -> None:
    folders = [("A", [written(tmp_path, "a.png", 0)])]
    assert zip_of_folders("z.zip", folders) == zip_of_folders("z.zip", folders)


def test_more_than_a_zip_is_to_hold_is_refused(tmp_path: Path) -> None:
    paths = [written(tmp_path, "a.png", glyph) for glyph in range(2)]
    with pytest.raises(ValueError, match=r"have .* MB and z\.zip holds at most 0\.1 MB"):
        zip_of_folders("z.zip", [("A", paths)], most=1000)


def slots(*given: tuple[str, list[str]]) -> list:
    """Values of the panel's inputs, with these classes in slots."""
    n, empty = classes_panel.MAX_SLOTS, classes_panel.MAX_SLOTS - len(given)
    names = [name for name, _ in given] + [None] * empty
    galleries = [[(path, None) for path in paths] for _, paths in given] + [None] * empty
    return ["", False, len(given), *names, *galleries, *[None] * n]


def test_classes_are_saved_and_what_hinders_is_said(tmp_path: Path) -> None:
    a = written(tmp_path, "a.png", 0)
    saved = classes_panel.saved(*slots((" Alpha ", [a]), ("Beta", [])))
    assert zipfile.ZipFile(saved).namelist() == ["Alpha/a.png"]
    with pytest.raises(gr.Error, match="Class 2 has pictures but no name"):
        classes_panel.saved(*slots(("Alpha", [a]), (" ", [a])))
    with pytest.raises(gr.Error, match="no pictures to save yet"):
        classes_panel.saved(*slots(("Alpha", [])))
    with pytest.raises(gr.Error, match="import it again"):
        classes_panel.saved("", True, *slots()[2:])
    assert classes_panel.saved(saved, True, *slots()[2:]) == saved


def test_what_is_no_longer_there_is_named(tmp_path: Path) -> None:
    gone = f"{written(tmp_path, 'a.png', 0)}/x.png"
    why = "x.png.* is no longer kept here: add it again"
    with pytest.raises(gr.Error, match=why):
        classes_panel.saved(*slots(("Alpha", [gone])))
    with pytest.raises(gr.Error, match=why):
        classes_panel.saved(gone, True, *slots()[2:])
    with pytest.raises(gr.Error, match=why):
        sorted_zip("siamese", results([0]), "same", "same", [(gone, None)])


def results(labels: list[int]) -> Results:
    p = np.eye(2, dtype=np.float32)[labels]
    result = MethodResult(Prediction(("A", "B"), p, p), np.zeros(len(p)), ((),) * len(p))
    names = tuple(f"{i}.png" for i in range(len(p)))
    comparison = Comparison(("A", "B"), names, {"siamese": result})
    nothing = np.zeros(0, np.int64)
    unknown = (None,) * len(p)
    return Results(comparison, None, names, {}, (), (), nothing, nothing, unknown)


def test_queries_are_sorted_by_the_answers_of_the_method_chosen(tmp_path: Path) -> None:
    gallery = [(written(tmp_path, "q.png", glyph), None) for glyph in range(3)]
    saved = sorted_zip("siamese", results([1, 0, 1]), "same", "same", gallery)
    with zipfile.ZipFile(saved) as archive:
        assert archive.namelist() == ["A/q.png", "B/q.png", "B/q (2).png"]
        assert archive.read("A/q.png") == Path(gallery[1][0]).read_bytes()
        assert archive.read("B/q (2).png") == Path(gallery[2][0]).read_bytes()
    with pytest.raises(gr.Error, match="Triplet did not answer: sort by another method"):
        sorted_zip("triplet", results([0]), "same", "same", gallery[:1])
    with pytest.raises(gr.Error, match="press Classify first"):
        sorted_zip("siamese", results([0]), "now", "then", gallery[:1])
    with pytest.raises(gr.Error, match="press Classify again"):
        sorted_zip("siamese", None, "same", "same", gallery[:1])
