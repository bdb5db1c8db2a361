"""The page without a browser: what was given can be brought back, and outlives a reload."""

from __future__ import annotations

import json
import zipfile

import gradio as gr
import pytest
from made_up import write_png

from fewshot.content_cache import ContentCache
from fewshot.ui import classes_panel, files, inputs


def held_in_page(name: str, path: str = "") -> list:
    """Values of the classes panel's inputs, the queries and what goes with them."""
    n = classes_panel.MAX_SLOTS
    galleries = [[("a.png", None)], *[None] * (n - 1)]
    slots = [name, *[""] * (n - 1), *galleries, *[""] * n]
    return [path, bool(path), 2, *slots, [("q.png", None)], "photos", {"d": "A"}, "about"]


def test_what_was_replaced_can_be_brought_back() -> None:
    from fewshot.ui.undo import MOST, N_WITH, brought_back, remembered

    n = classes_panel.MAX_SLOTS
    before, button = remembered((), *held_in_page("A"))
    before, button = remembered(before, *held_in_page("B"))
    assert button["visible"]
    empty = ["", False, 2, *[""] * n, *[None] * n, *[""] * n, None, "drawings", {}, ""]
    # What is there instead comes round again behind all others, unless it is nothing.
    steps = [("B", held_in_page("C"), "C"), ("A", held_in_page("B"), "B"), ("C", empty, "B")]
    for name, instead, first in steps:
        before, button, *restored = brought_back(before, *instead)
        assert button["visible"] and before[0][3] == first
        assert restored[-1 - N_WITH :] == [[("q.png", None)], "photos", {"d": "A"}, "about"]
        names = restored[classes_panel.N_OF_KIND + 1 + n :]
        assert names[0] == name and names[n] == [("a.png", None)]
    before, button, *_ = brought_back(before, *empty)
    assert before == () and not button["visible"]
    assert remembered((), *empty) == [gr.skip(), gr.skip()]
    for gone in (before, None):
        with pytest.raises(gr.Error, match="no longer kept"):
            brought_back(gone, *empty)
    for number in range(MOST + 5):
        before, _ = remembered(before, *held_in_page(str(number)))
    assert len(before) == MOST and before[-1][3] == str(MOST + 4)


def test_an_import_keeps_what_it_replaces_and_a_refused_one_nothing(tmp_path, monkeypatch) -> None:
    from fewshot.ui.undo import brought_back, import_remembered

    path = tmp_path / "letters.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for i in range(12):
            archive.write(write_png(tmp_path / "a.png", i), f"Letter {i}/0.png")
    before, button, *updates = import_remembered(str(path), (), *held_in_page("A"))
    assert before[0][3] == "A" and button["visible"] and updates[:2] == [str(path), True]
    # The slots behind a list that is brought back are those that were behind it.
    before, *_ = import_remembered(str(path), (), *held_in_page("behind", str(path)))
    _, _, *restored = brought_back(before, *held_in_page("A"))
    assert restored[:2] == [str(path), True] and "behind" in restored
    bad = tmp_path / "bad.zip"
    bad.write_bytes(b"nothing")
    with pytest.warns(UserWarning, match="bad.zip"):
        assert import_remembered(str(bad), (), *held_in_page("A"))[:2] == [gr.skip(), gr.skip()]
    # Nor is anything else read where the session that had the path is over.
    over = ["", True, *held_in_page("A")[2:]]
    with pytest.warns(UserWarning, match="no longer kept: import it again"):
        assert brought_back((over,), *held_in_page("B"))[0] == ()
    # Where the zip is gone, so is the way back to it, and nothing else changes.
    path.unlink()
    monkeypatch.setattr(inputs, "_ZIPS", ContentCache(2**30))
    earlier = (held_in_page("A"), *before)
    with pytest.warns(UserWarning, match="no longer kept: import it again"):
        left, button, *others = brought_back(earlier, *held_in_page("B"))
    assert left == earlier[:1] and button["visible"]
    assert len(others) == len(restored) and all(update == gr.skip() for update in others)


def test_what_was_given_comes_back_as_far_as_its_files_are_there() -> None:
    from fewshot.ui import classes_panel
    from fewshot.ui.reload import classify_again

    kept = files.kept_file("a.png", b"whatever")
    slots = [["Loop", [kept, "/etc/passwd", kept + "x", None], ""], ["Fork", [kept], "of iron"]]
    given = {"preset": "photos", "zip": "", "slots": slots, "queries": [kept, "gone.png"]}
    with pytest.warns(UserWarning, match="4 pictures are no longer kept here"):
        *classes, queries, preset = classify_again(json.dumps(given))
    expected = [classes_panel.Slot("Loop", [kept]), classes_panel.Slot("Fork", [kept], "of iron")]
    assert classes == classes_panel.filled(expected)
    assert (queries, preset) == ([kept], "photos")
    unchanged = [gr.skip()] * (classes_panel.N_OUTPUTS + 2)
    for nonsense in ("", "no JSON", "[]", "7", '{"slots": 3}', json.dumps(given | {"zip": None})):
        assert classify_again(nonsense) == unchanged
    of_zip = json.dumps(given | {"zip": "../../etc/passwd", "queries": [], "slots": []})
    with pytest.warns(UserWarning, match="is no longer kept here"):
        assert classify_again(of_zip)[: classes_panel.N_OF_KIND] == classes_panel.slots_shown()


def test_settings_come_back_as_far_as_they_can_be_meant() -> None:
    from fewshot.ui.settings_panel import settings_again

    skip = gr.skip()
    values = ["300", 0.5, True, False, "12", "satellite", "a map of a {}."]
    assert settings_again(json.dumps({"values": values})) == values
    # Fields that were never shown are null.
    unseen = [None, 0, False, True, None, "", None]
    expected = [skip, 0, False, True, skip, "", skip]
    assert settings_again(json.dumps({"values": unseen})) == expected
    wrong = ["9" * 21, 3, 1, "yes", [], "no such set", "{}" * 20_000]
    assert settings_again(json.dumps({"values": wrong})) == [skip] * 7
    assert settings_again(json.dumps({"values": ["", True, *values[2:]]}))[1] == skip
    for nonsense in ("", "[]", "{}", '{"values": [1]}', '{"values": {"0": 1}}'):
        assert settings_again(nonsense) == [skip] * 7


def test_what_evaluate_held_comes_back_as_far_as_it_can_be_meant() -> None:
    from fewshot.ui.evaluate_form import form_again

    skip = gr.skip()
    zipped = files.kept_file("a.zip", b"whatever")
    values = ["zip", zipped, ["pixels"], "photos", "", 7, 2, 3, 20, 4, "shots", True]
    assert form_again(json.dumps({"values": values})) == values
    # Fields that were never shown are null; whether a number can be meant is said by a run.
    unseen = ["invented", None, [], "drawings", None, None, -1, 2.5, 0, 1e9, "", False]
    expected = ["invented", skip, [], "drawings", skip, skip, *unseen[6:]]
    assert form_again(json.dumps({"values": unseen})) == expected
    wrong = [{}, "", [[]], [], {}, True, "5", float("nan"), float("inf"), 2**60, "on", 1]
    assert form_again(json.dumps({"values": wrong})) == [skip] * 12
    for nonsense in ("", "[]", "{}", '{"values": [1]}', '{"values": {"0": 1}}'):
        assert form_again(nonsense) == [skip] * 12
    for gone in ("/etc/passwd", zipped + "x"):
        with pytest.warns(UserWarning, match="zip is no longer kept here"):
            again = form_again(json.dumps({"values": [values[0], gone, *values[2:]]}))
        assert again == [values[0], skip, *values[2:]]


def test_the_model_chosen_before_comes_back_if_it_is_still_a_choice() -> None:
    from fewshot.ui.settings_panel import fill_models

    first = fill_models()[0]
    assert fill_models(json.dumps({"model": "ViT-B-16"}))[0] == first | {"value": "ViT-B-16"}
    for other in ("", "{}", '{"model": null}', '{"model": "/etc/passwd"}', '{"model": []}'):
        assert fill_models(other)[0] == first
