"""Names alone: the pasted list, and what the tab makes of it and of pictures."""

from __future__ import annotations

from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from PIL import Image
from tiny_clip import write_tiny_clip

from fewshot.handwriting import draw
from fewshot.types import Comparison, InputError
from fewshot.ui import inputs
from fewshot.ui.busy import STOPPED, RunButtons
from fewshot.ui.engine import TEXTS_AT_ONCE
from fewshot.ui.name_list import MAX_CHARACTERS, MAX_NAMES, read_names
from fewshot.ui.names_results import summary
from fewshot.ui.names_tab import MAX_PICTURES, find_names

BUTTONS = RunButtons(None, None, [None])


@pytest.fixture
def gallery(tmp_path: Path) -> list[tuple[str, None]]:
    paths = [tmp_path / f"q{i}.png" for i in range(2)]
    for i, path in enumerate(paths):
        Image.fromarray(draw(i, i)).save(path)
    return [(str(path), None) for path in paths]


def test_a_list_is_tidied_and_each_name_kept_once() -> None:
    found = read_names("  heart \n\n\tred   star\r\nheart\nHeart\n  \nred star\n")
    assert found.names == ("heart", "red star")  # CLIP reads Heart as heart
    assert found.repeated == 3


def test_a_list_has_limits_and_says_them() -> None:
    longest = ["x" * 75 + f"{i:05}" for i in range(MAX_NAMES)]
    assert read_names("\n".join(longest)).names == tuple(longest)
    assert len("\n".join(longest)) <= MAX_CHARACTERS
    for text, sentence in [
        (None, "two or more names"),
        ("\n \nheart\nheart", "two or more names"),
        ("\n".join([*longest, "one more"]), "1,001 names are too many at once: leave out 1 "),
        ("heart\n" + "y" * 81, "has 81 characters: keep to 80"),
    ]:
        with pytest.raises(InputError, match=sentence):
            read_names(text)


def test_lines_that_are_too_long_are_left_out_and_told_of() -> None:
    sentence = "a " * 60
    found = read_names(f"heart\n{sentence}\nstar\n{'x' * 81}\nstar")
    assert found.names == ("heart", "star")
    assert found.repeated == 1
    assert found.too_long == (sentence.strip(), "x" * 81)
    asked = Comparison(found.names, ("q.png",), {})
    told = summary(asked, found)
    assert told.startswith("2 names, 1 picture. 1 repeated line was left out. 'a a a ")
    second = f"and '{'x' * 40}…{'x' * 39}' were left out: a name has 80 characters at most."
    assert told.endswith(second)
    one = summary(asked, read_names("heart\nstar\n" + "y" * 90))
    assert " was left out: a name has 80" in one and "repeated" not in one


def test_repeated_names_do_not_count_towards_the_limit() -> None:
    found = read_names("\n".join([f"n{i}" for i in range(MAX_NAMES)] * 2))
    assert len(found.names) == found.repeated == MAX_NAMES


def test_names_are_found_by_clip_alone(
    tmp_path: Path, gallery: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fewshot.encoders import get_encoder
    from fewshot.prompts import templates

    monkeypatch.setenv("FEWSHOT_CLIP", str(write_tiny_clip(tmp_path / "tiny")))
    names = [f"name {i}" for i in range(8)]
    pasted = "\n".join([*names, "name 0"])
    *_, last = find_names(BUTTONS, {}, "asked", "", None, pasted, "drawing", gallery)
    *_, answered, problem, message, html = last
    assert (answered, problem) == ("asked", "")
    assert "8 names, 2 pictures. 1 repeated line was left out." in message
    # By hand: mean of the normalised prompts' embeddings, cosines, the five greatest.
    encoder = get_encoder("clip")
    texts = [[t.replace("{}", name) for t in templates("drawing")] for name in names]
    rows = np.stack([encoder.embed_texts(prompts).mean(0) for prompts in texts])
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    from fewshot.images import decode

    pictures = [decode(Path(path), Path(path).name) for path, _ in gallery]
    cosines = encoder.embed(pictures) @ rows.T
    for query, article in enumerate(html.split("<article")[1:]):
        best = np.argsort(-cosines[query])[:5]
        places = [article.index(f"<span>{names[i]}</span>") for i in best]
        assert places == sorted(places)


@pytest.mark.parametrize(
    ("unsent", "names", "pictures", "model", "sentence"),
    [
        ("the picture", "heart\nstar", 1, None, "for the picture is not among the pictures yet"),
        ("", "", 1, None, "two or more names"),
        ("", "heart\nstar", 0, None, "no picture to classify: upload or draw one below the names"),
        ("", "heart\nstar", MAX_PICTURES + 1, None, "leave out 1 to come down to 50"),
        ("", "heart\nstar", 1, "ViT-B-32", "ViT-B-32 is not on this machine: download it"),
    ],
)
def test_what_is_missing_is_a_sentence_and_the_button_comes_back(
    unsent: str, names: str, pictures: int, model: str | None, sentence: str, gallery: list
) -> None:
    asked = gallery[:1] * pictures
    running = find_names(BUTTONS, {}, "asked", unsent, model, names, "photo", asked)
    updates = []
    with pytest.raises(gr.Error, match=sentence):
        updates.extend(running)
        raise AssertionError  # not reached
    # extend keeps what came before the error
    assert updates[-1][: len(BUTTONS.idle())] == BUTTONS.idle()
    assert sentence in updates[-1][4]


def test_a_stop_ends_the_reading_of_names(
    tmp_path: Path, gallery: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fewshot.encoders import get_encoder

    monkeypatch.setenv("FEWSHOT_CLIP", str(write_tiny_clip(tmp_path / "tiny")))
    read, embed_texts = [], get_encoder("clip").embed_texts
    stopping = {"asked": True}  # of an earlier run

    def counted(texts):
        read.append(len(texts))
        stopping["asked"] = len(read) == 2
        return embed_texts(texts)

    monkeypatch.setattr(get_encoder("clip"), "embed_texts", counted)
    names = "\n".join(f"name {i}" for i in range(400))
    *_, last = find_names(BUTTONS, stopping, "asked", "", None, names, "plain", gallery)
    assert read == [TEXTS_AT_ONCE] * 2
    assert last == [*BUTTONS.idle(), gr.skip(), STOPPED, gr.skip(), gr.skip()]


def test_a_stop_ends_the_reading_of_pictures(
    gallery: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs, "PAUSE_EVERY", 0.0, raising=False)
    read, stopping, read_file = [], {"asked": False}, inputs.read_file

    def stopped(path):
        read.append(path)
        stopping["asked"] = len(read) == 2
        return read_file(path)

    monkeypatch.setattr(inputs, "read_file", stopped)
    asked = gallery * 10
    *_, last = find_names(BUTTONS, stopping, "asked", "", None, "heart\nstar", "plain", asked)
    assert len(read) == 2
    assert last == [*BUTTONS.idle(), gr.skip(), STOPPED, gr.skip(), gr.skip()]
