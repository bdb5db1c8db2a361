"""The page without a browser: what it makes of what it is given."""

from __future__ import annotations

import base64
import io
import zipfile
from collections.abc import Generator
from html import unescape
from operator import attrgetter
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest
from made_up import counted_decoding, last, picture, write_png
from PIL import Image

from fewshot.content_cache import ContentCache
from fewshot.embedding_cache import EmbeddingCache
from fewshot.examples import EXAMPLE_TASKS, example_task
from fewshot.handwriting import draw
from fewshot.images import decode
from fewshot.types import InputError, Picture, SupportSet
from fewshot.ui import classes_panel, classify_tab, files, inputs
from fewshot.ui.engine import Step


def test_slots_become_a_support_set(tmp_path: Path) -> None:
    galleries = [
        [(write_png(tmp_path / "a.png"), None)],
        [],
        [(write_png(tmp_path / "b.png"), None)],
    ]
    found = last(inputs.reading_slots, [" Loop ", "", "Fork"], galleries, ["", None, ""])
    assert found.classes == ("Loop", "Fork")  # the empty slot is passed over
    assert [p.name for p in found.pictures] == ["Loop/a.png", "Fork/b.png"]
    assert found.descriptions == ()  # nobody gave any
    found = last(
        inputs.reading_slots, ["Loop", "", "Fork"], galleries, [None, "", " three\n prongs"]
    )
    assert found.descriptions == ("", "three prongs")


@pytest.mark.parametrize(
    ("names", "counts", "sentence"),
    [
        (["", ""], [0, 0], "no classes yet"),
        (["Loop", ""], [1, 1], "Class 2 has pictures but no name"),
        (["Loop", "Fork"], [1, 0], "'Fork' has no picture"),
        (["Loop", "Loop"], [1, 1], "given twice"),
        (["Loop", ""], [1, 0], "at least 2 classes"),
    ],
)
def test_slots_that_are_no_support_set_say_why(
    names: list[str], counts: list[int], sentence: str, tmp_path: Path
) -> None:
    path = write_png(tmp_path / "a.png")
    with pytest.raises(InputError, match=sentence):
        last(inputs.reading_slots, names, [[(path, None)] * count for count in counts], [""] * 2)


def test_a_description_has_a_name_and_a_limit(tmp_path: Path) -> None:
    gallery = [(write_png(tmp_path / "a.png"), None)]
    with pytest.raises(InputError, match="Class 2 has a description but no name"):
        last(inputs.reading_slots, ["Loop", ""], [gallery, []], ["", "round"])
    with pytest.raises(InputError, match="'Fork' has 201 characters: keep to 200"):
        last(inputs.reading_slots, ["Loop", "Fork"], [gallery] * 2, ["", "a" * 201])
    longest = last(inputs.reading_slots, ["Loop", "Fork"], [gallery] * 2, ["", "a" * 200])
    assert longest.descriptions == ("", "a" * 200)


def test_queries_are_counted_before_they_are_read() -> None:
    with pytest.raises(InputError, match="no picture to classify"):
        last(inputs.reading_queries, None)
    with pytest.raises(InputError, match="leave out 1 "):
        last(inputs.reading_queries, [("nowhere.png", None)] * (inputs.MAX_QUERIES + 1))


def test_no_picture_of_many_is_decoded_twice(tmp_path, monkeypatch) -> None:
    gallery = [(write_png(tmp_path / f"{i}.png", i % 9, i), None) for i in range(300)]
    decoded = counted_decoding(monkeypatch)
    first = last(inputs.reading_queries, gallery)
    assert len(decoded) == 300
    again = last(inputs.reading_queries, gallery)
    assert len(decoded) == 300 and [p.digest for p in again] == [p.digest for p in first]


def test_decoded_pictures_are_kept_up_to_so_many_bytes(tmp_path, monkeypatch) -> None:
    paths = [write_png(tmp_path / f"{i}.png", i, i) for i in range(4)]
    size = inputs.read_file(paths[0]).pixels.nbytes
    kept = ContentCache(2 * size, attrgetter("pixels.nbytes"))
    monkeypatch.setattr(inputs, "_PICTURES", kept)
    decoded = counted_decoding(monkeypatch)
    for i in (0, 1, 0, 2, 0, 1):  # 1 is the longest unused as 2 comes
        inputs.read_file(paths[i])
    assert decoded == ["0.png", "1.png", "2.png", "1.png"] and len(kept) == 2


def test_a_file_that_could_not_be_read_is_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "late.png"
    with pytest.raises(InputError, match="choose it again"):
        inputs.read_file(str(path))
    write_png(path)
    assert inputs.read_file(str(path)).name == "late.png"


def test_unreadable_uploads_are_told_from_the_others(tmp_path: Path) -> None:
    good, bad = write_png(tmp_path / "good.png"), tmp_path / "bad.png"
    bad.write_bytes(b"nothing")
    verdict, refused = inputs.checked([(good, None), (str(bad), None)])
    assert verdict == {str(bad): None}
    assert len(refused) == 1 and "'bad.png'" in refused[0]


def test_a_tiff_is_replaced_by_what_browsers_show(tmp_path: Path) -> None:
    path = tmp_path / "scan.tif"
    Image.fromarray(draw(3, 3)).save(path)
    verdict, refused = inputs.checked([(str(path), None)])
    assert refused == []
    kept = verdict[str(path)]
    assert kept.endswith("scan.png")
    np.testing.assert_array_equal(np.asarray(Image.open(kept)), draw(3, 3))


def test_a_zip_holds_a_hundred_classes_and_no_more(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, "PNG")
    for count in (100, 101):
        with zipfile.ZipFile(tmp_path / f"{count}.zip", "w") as archive:
            for i in range(count):
                archive.writestr(f"c{i}/a.png", buffer.getvalue())
    assert len(inputs.read_zip(str(tmp_path / "100.zip")).classes) == 100
    with pytest.raises(InputError, match="101 classes and at most 100"):
        inputs.read_zip(str(tmp_path / "101.zip"))


def test_a_drawing_arrives_as_a_picture() -> None:
    buffer = io.BytesIO()
    Image.fromarray(draw(5, 5)).save(buffer, "PNG")
    url = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    got = inputs.drawing(url, number=2)
    assert got.name == "drawing-2.png"
    np.testing.assert_array_equal(got.pixels, draw(5, 5))


@pytest.mark.parametrize("url", [None, "", "data:image/png;base64,@@@", "/etc/passwd"])
def test_what_is_no_drawing_is_refused(url: str | None) -> None:
    with pytest.raises(InputError, match="draw it again"):
        inputs.drawing(url, number=1)


def read_whole(reading: Generator[Step, None, SupportSet]) -> SupportSet:
    """What a reading in steps comes to."""
    while True:
        try:
            next(reading)
        except StopIteration as end:
            return end.value


def test_a_list_whose_session_has_ended_is_not_answered_for_by_the_slots_behind_it() -> None:
    path = files.kept_picture(picture(1, 1))
    slots = [*["a", "b"], *[None] * 8, *[[(path, None)]] * 2, *[None] * 8, *[None] * 10]
    support = read_whole(classes_panel.reading_support(["", False, 2, *slots]))
    assert support.classes == ("a", "b")
    with pytest.raises(InputError, match="no longer kept here: import it again"):
        read_whole(classes_panel.reading_support(["", True, 2, *slots]))


def test_pictures_are_counted_before_they_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "read_file", None)  # reading one would fail
    gallery = [("gone.png", None)] * 1_500
    with pytest.raises(InputError, match="3,000 pictures is too large: leave out 1,000"):
        last(inputs.reading_slots, ["a", "b"], [gallery, gallery], [None, None])


def test_only_shown_slots_count() -> None:
    names, galleries = [f"n{i}" for i in range(10)], [[i] for i in range(10)]
    found = classes_panel.slots_of(2, [*names, *galleries, "first", *[None] * 9])
    assert found == [("n0", [0], "first"), ("n1", [1], "")]


def test_kept_pictures_keep_name_and_pixels() -> None:
    path = Path(files.kept_picture(picture(7, 7, "Oru/1 ü.jpeg")))
    assert path.name == "1 ü.png"
    np.testing.assert_array_equal(np.asarray(Image.open(path)), draw(7, 7))
    assert files.kept_picture(picture(7, 7, "Oru/1 ü.jpeg")) == str(path)
    sign = Path(files.kept_picture(picture(7, 7, "Oru/♥.jpeg")))
    assert sign.name == "picture.png"  # by its ending Gradio tells that it is one
    strange = Path(files.kept_file("../../\0a/" + "ö" * 300 + ".json", b"x"))
    assert strange.read_bytes() == b"x"
    assert strange.parent.parent == path.parent.parent


def test_half_a_file_is_not_left_behind(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))

    def broken(file) -> None:
        file.write(b"half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        files.kept_stream("a.zip", broken)
    assert list(tmp_path.iterdir()) == []


def test_a_picture_that_could_not_be_read_may_come_back(tmp_path) -> None:
    path = str(tmp_path / "a.png")
    verdict, refused = inputs.checked([(path, None)])
    assert verdict == {path: None} and len(refused) == 1
    write_png(Path(path), 3)
    assert inputs.checked([(path, None)]) == ({}, [])
    with pytest.raises(InputError, match="2,001 pictures are too many: leave out 1 to"):
        inputs.checked([(path, None)] * 2_001)


def test_embedding_in_portions_makes_what_is_missing_and_tells_how_far(monkeypatch) -> None:
    from fewshot import embedding_cache
    from fewshot.encoders.pixels import PixelEncoder

    monkeypatch.setattr(embedding_cache, "AT_ONCE", 2)
    cache, encoder = EmbeddingCache(), PixelEncoder()
    pictures = [picture(glyph, 0) for glyph in range(5)]
    cache.embed(encoder, pictures[:1])
    assert list(cache.embedding(encoder, pictures)) == [0, 0.5]  # of four
    assert list(cache.embedding(encoder, pictures)) == []
    expected = PixelEncoder().embed(pictures)
    np.testing.assert_allclose(cache.embed(encoder, pictures).embeddings, expected, atol=1e-6)


def test_no_name_of_a_file_keeps_a_gallery_from_being_looked_at() -> None:
    from fewshot.ui.pictures import picture_gallery

    with gr.Blocks():
        gallery = picture_gallery("Pictures", "pictures")
    assert gallery.get_config()["file_types"] == ["image"]  # by which the browser's dialog goes
    given = [(f"/uploads/{name}", None) for name in ("a.pjpeg", "b", "c.jpg", "d.png/x", "e.txt")]
    found = gallery.data_model([{"image": {"path": path}, "caption": None} for path, _ in given])
    assert gallery.preprocess(found) == given


@pytest.mark.parametrize("key", EXAMPLE_TASKS)
def test_an_example_s_button_puts_its_task_into_the_inputs(key: str) -> None:
    task = example_task(key)
    button = SimpleNamespace(target=SimpleNamespace(elem_id=f"example-{key}"))
    *classes, queries, preset, known, about = classify_tab.load_example(button)
    count, n = len(task.support.classes), classes_panel.MAX_SLOTS
    names = classes[classes_panel.N_OF_KIND + 1 + n :]
    assert tuple(names[:count]) == task.support.classes and set(names[count:n]) == {""}
    given = [Picture(Path(p).name, decode(Path(p), "p").pixels) for p in names[n]]
    labelled = zip(task.support.pictures, task.support.labels, strict=True)
    assert [p.digest for p in given] == [p.digest for p, label in labelled if label == 0]
    assert len(queries) == len(task.queries) and preset == task.preset
    assert list(known.values()) == list(task.answers) and task.description in unescape(about)


def test_another_zip_of_the_same_look_is_another_listing() -> None:
    from fewshot.ui.markup import class_list

    classes = [("A", [Picture("a", draw(1, 1))])]
    assert class_list("letters.zip", classes, "one") != class_list("letters.zip", classes, "two")


def test_a_zip_that_is_none_is_told_of_in_place(tmp_path: Path) -> None:
    path = tmp_path / "notzip.zip"
    path.write_bytes(b"nothing")
    with pytest.warns(UserWarning, match="notzip.zip"):  # a toast, where there is a page
        updates, accepted = classes_panel.imported(str(path))
    assert not accepted and len(updates) == len(classes_panel.filled([]))
    (said,) = [update for update in updates if update != gr.skip()]
    assert "notzip.zip" in said and 'class="notice problem"' in said
