"""The page's parts without a browser: what they make of inputs, and what they say and show."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from html import unescape
from operator import attrgetter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import numpy as np
import pytest
from PIL import Image
from tiny_clip import write_tiny_clip

from fewshot.content_cache import ContentCache
from fewshot.embedding_cache import EmbeddingCache
from fewshot.examples import EXAMPLE_TASKS, example_task
from fewshot.handwriting import draw
from fewshot.images import decode, support_set
from fewshot.types import (
    Blank,
    Comparison,
    InputError,
    MethodResult,
    Neighbour,
    Picture,
    Prediction,
    SupportSet,
)
from fewshot.ui import (
    busy,
    classes_panel,
    classify_tab,
    clip_files,
    errors,
    files,
    inputs,
    known_names,
    look_run,
    markup,
    server,
    timings,
)
from fewshot.ui.about_tab import build_about_tab
from fewshot.ui.cards import cards_html, table_html
from fewshot.ui.engine import (
    BASELINE_TITLE,
    TITLES,
    Choices,
    Step,
    compare_in_steps,
    settings_of,
    without_baseline,
)
from fewshot.ui.results import Results, n_right, odd_ones, percent, raw, results_of, verdict
from fewshot.ui.results_panel import same_row
from fewshot.ui.settings_panel import (
    AUTOMATIC,
    N_SETTINGS,
    OWN,
    build_settings_panel,
    choices_of,
)

CLASSES = ("Oru", "<b>Tavek</b> ${1}")


def picture(glyph: int, drawer: int, name: str = "a.png") -> Picture:
    return Picture(name, draw(glyph, drawer))


def write_png(path: Path, glyph: int = 0, drawer: int = 0) -> str:
    Image.fromarray(draw(glyph, drawer)).save(path)
    return str(path)


def answer(*first: float, evidence: bool = True) -> MethodResult:
    """A method's answer for two classes: each query's probability of the first."""
    probabilities = np.array([[p, 1 - p] for p in first], np.float32)
    prediction = Prediction(
        CLASSES,
        probabilities,
        probabilities,
        np.full((len(first), 2), 0.25, np.float32) if evidence else None,
    )
    neighbours = (Neighbour(0, "Oru/1.png", "Oru", 0.75, 0.25 if evidence else None),)
    return MethodResult(prediction, np.full(len(first), 12.34), (neighbours,) * len(first))


def comparison(**results: MethodResult) -> Comparison:
    n_queries = len(next(iter(results.values())).milliseconds)
    names = tuple(f"q{i}.png" for i in range(n_queries))
    absent = {name: "Not <here>." for name in TITLES if name not in results}
    return Comparison(CLASSES, names, results, absent)


def results(full: Comparison, known: dict[int, str] | None = None, **more) -> Results:
    support = support_set([("Oru", [picture(0, 1)]), ("Tavek", [picture(1, 1)])])
    queries = [picture(2, i) for i in range(len(full.queries))]
    answers = {queries[i].digest: name for i, name in (known or {}).items()}
    return results_of(full, support, queries, answers, **more)


# Words


def test_escaped_text_can_neither_be_markup_nor_template() -> None:
    text = "<img src=x onerror='a()'> \"&\" ${1+1} {{2}} `b`"
    assert not set("<>\"'${}`") & set(markup.escaped(text).replace("&#", ""))
    assert markup.escaped("Ōru 漢字") == "Ōru 漢字"


def test_several_sentences_are_capped() -> None:
    assert markup.several(["a < b"]) == "a &lt; b"
    many = markup.several([f"s{i}" for i in range(10)])
    assert many.count("<li>") == markup.MOST_SENTENCES + 1
    assert "… and 4 more." in many


def test_words_are_listed_as_people_do() -> None:
    from fewshot.class_names import listed

    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"]) == "a, b and c"


@pytest.mark.parametrize(
    ("probability", "text"),
    [(0.0, "<1%"), (0.004, "<1%"), (0.126, "13%"), (0.994, "99%"), (0.9999, ">99%"), (1.0, ">99%")],
)
def test_a_share_is_never_rounded_to_certainty(probability: float, text: str) -> None:
    assert percent(probability) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.2649, "0.26"), (-0.02, "−0.02"), (-0.001, "0.00"), (-12.345, "−12.35"), (1, "1.00")],
)
def test_a_number_has_a_true_minus_and_zero_has_none(value: float, text: str) -> None:
    assert markup.number(value) == text


@pytest.mark.parametrize(
    ("score", "text"),
    [(0.2649, "0.26"), (-1.005, "−1.00"), (-0.001, "0.00"), (9.99, "9.99"), (-12.34, "−12.3")],
)
def test_a_measure_is_short_and_has_a_true_minus(score: float, text: str) -> None:
    assert raw(score) == text


def test_the_verdict_names_who_says_what() -> None:
    both = comparison(siamese=answer(0.9), triplet=answer(0.8))
    assert verdict(both, 0) == "Both methods agree: Oru."
    every = comparison(siamese=answer(0.9), triplet=answer(0.8), finetune=answer(0.7))
    assert verdict(every, 0) == "All 3 methods agree: Oru."
    split = comparison(siamese=answer(0.9), triplet=answer(0.8), finetune=answer(0.1))
    assert verdict(split, 0) == (
        f"They disagree: Siamese and Triplet say Oru; Fine-tuned prototype says {CLASSES[1]}."
    )
    assert verdict(comparison(clip=answer(0.9)), 0) == "Only CLIP zero-shot could answer: Oru."


def test_the_odd_ones_are_those_outside_the_majority() -> None:
    agreed = comparison(siamese=answer(0.9), triplet=answer(0.8))
    assert odd_ones(agreed, 0) == set()
    split = comparison(siamese=answer(0.9), triplet=answer(0.8), finetune=answer(0.1))
    assert odd_ones(split, 0) == {"finetune"}
    tied = comparison(siamese=answer(0.9), triplet=answer(0.1))
    assert odd_ones(tied, 0) == {"siamese", "triplet"}


# Results


def test_the_baseline_has_no_vote_and_no_card() -> None:
    full = comparison(siamese=answer(0.9), finetune=answer(0.8), prototype=answer(0.1))
    cards, baseline = without_baseline(full)
    assert list(cards.results) == ["siamese", "finetune"]
    sources = dict.fromkeys(full.results, "somewhere")
    assert list(without_baseline(replace(full, sources=sources))[0].sources) == list(cards.results)
    assert baseline is full.results["prototype"]
    assert cards.agree(0)


def test_right_and_wrong_only_where_the_answer_is_known_and_a_class() -> None:
    full = comparison(siamese=answer(0.9, 0.1, 0.9))
    shown = results(full, {0: "Oru", 1: "Oru", 2: "Renamed"})
    assert shown.answers == ("Oru", "Oru", None)
    assert n_right(shown, "siamese") == (1, 2)


def test_five_methods_can_be_of_three_minds() -> None:
    others = {"clip": answer(0.2), "clip-adapter": answer(0.7)}
    five = comparison(siamese=answer(0.9), triplet=answer(0.8), finetune=answer(0.1), **others)
    assert odd_ones(five, 0) == {"finetune", "clip"}
    assert verdict(five, 0) == (
        "They disagree: Siamese, Triplet and CLIP adapter say Oru; Fine-tuned prototype and CLIP "
        f"zero-shot say {CLASSES[1]}."
    )


def test_the_adapter_says_whether_pictures_count() -> None:
    def said(both: float) -> str:
        full = comparison(**{"clip": answer(0.3), "clip-adapter": answer(both)})
        return cards_html(results(full), 0)

    assert "both count" in said(0.4) and "the names alone count" not in said(0.4)
    assert "the names alone count" in said(0.3) and "both count" not in said(0.3)


def test_cards_are_five_whatever_answered_and_text_stays_text() -> None:
    html = cards_html(results(comparison(siamese=answer(0.2), prototype=answer(0.6))), 0)
    assert re.findall('data-method="([a-z-]+)"', html) == list(TITLES)
    assert len(TITLES) == 5
    assert html.count("Not &lt;here&gt;.") == 4
    assert "<b>Tavek</b>" not in html and "${1}" not in html
    assert "same: 0.25" in html
    assert "12.3 ms" in html


def test_what_is_kept_for_later_clicks_shows_the_same_cards_without_the_maps() -> None:
    full = comparison(
        siamese=answer(0.2, 0.7), finetune=answer(0.3, 0.4), prototype=answer(0.1, 0.2)
    )
    shown = results(full)
    kept = shown.without_maps()
    assert cards_html(kept, 1) == cards_html(shown, 1) and table_html(kept) == table_html(shown)
    assert all(r.prediction.evidence is None for r in kept.comparison.results.values())
    assert kept.baseline.prediction.evidence is None
    assert shown.baseline.prediction.evidence is not None


def test_below_a_picture_stands_a_number_as_beside_the_bars() -> None:
    opposite = (Neighbour(0, "Oru/1.png", "Oru", -0.02),)
    shown = replace(answer(0.2), neighbours=(opposite,))
    html = cards_html(results(comparison(siamese=shown)), 0)
    assert "<span>−0.02</span>" in html and "similarity −0.02" in html
    assert "-0.02" not in html


def test_the_baseline_stands_in_the_tuned_card() -> None:
    full = comparison(finetune=answer(0.2), prototype=answer(0.6))
    assert "Before fine-tuning: <b>Oru</b> 60%" in cards_html(results(full), 0)


def test_the_tuned_card_says_when_it_saw_the_other_queries() -> None:
    full = comparison(finetune=answer(0.2, 0.3), prototype=answer(0.6, 0.6))
    said = "Also used the other queries"
    assert said in cards_html(results(full, transductive=True), 0)
    assert said not in cards_html(results(full), 0)
    alone = comparison(finetune=answer(0.2))  # there are no others
    assert said not in cards_html(results(alone, transductive=True), 0)


def test_each_share_has_the_methods_own_measure_beside_it() -> None:
    clip = answer(0.75)
    scores = np.array([[0.312, -0.056]], np.float32)
    full = comparison(clip=replace(clip, prediction=replace(clip.prediction, scores=scores)))
    html = cards_html(results(full), 0)
    bars = re.findall(
        r'class="share"[^>]*>([^<]*)</span><span class="raw" title="([^"]*)">([^<]*)', html
    )
    assert [(share, own) for share, _, own in bars] == [("75%", "0.31"), ("25%", "−0.06")]
    assert all("cosine of picture and name" in title for _, title, _ in bars)
    assert "calibrated" in html


def test_the_picture_looked_at_is_looked_at_again() -> None:
    three = results(comparison(siamese=answer(0.9, 0.9, 0.1)))
    _, two, last = three.queries
    without_first = replace(three, queries=(two, last))
    twins = replace(three, queries=(last, two, last))
    assert same_row(None, 2, three) == same_row(without_first, 2, three) == 0
    assert same_row(three, 2, three) == 2
    assert same_row(three, 2, without_first) == 1  # where it went
    assert same_row(three, 0, without_first) == 0  # gone
    assert same_row(twins, 2, twins) == 2 and same_row(three, 2, twins) == 2
    rows = re.findall("<tr data-query.*?</tr>", table_html(three, 1))
    assert ["chosen" in row for row in rows] == [False, True, False]
    assert ['aria-pressed="true"' in row for row in rows] == [False, True, False]


def test_what_was_shown_already_proves_nothing() -> None:
    from fewshot.remarks import remarks, shown_already

    support = support_set([("Oru", [picture(0, 1)]), ("Tavek", [picture(1, 1)])])
    fresh, copy = picture(2, 3), replace(picture(1, 1), name="copy.png")
    assert shown_already(support, [fresh]) == ""
    said = shown_already(support, [fresh, copy])
    assert said.startswith("'copy.png' is among the pictures shown, too: that it comes out right")
    assert "are among" in shown_already(support, [copy, picture(0, 1)])
    assert said in remarks(comparison(siamese=answer(0.9)), support, [fresh, copy])


def test_the_names_that_the_small_model_knows_are_told() -> None:
    told = clip_files.cautioned(["Beware."], "there", ["Goldfish", "Oru", "bullfrog"])
    assert told.startswith("Beware. Of yours it knows 'Goldfish' and 'bullfrog'. “How it works”")
    assert "yours" not in clip_files.cautioned(["Beware."], "there", ["Oru"])


def test_the_table_marks_disagreement_and_answers() -> None:
    full = comparison(siamese=answer(0.9, 0.9), triplet=answer(0.9, 0.1))
    html = table_html(results(full, {0: "Oru", 1: "Oru"}))
    rows = re.findall("<tr data-query.*?</tr>", html)
    assert ["≠" in row for row in rows] == [False, True]
    assert [row.count("✓") for row in rows] == [2, 1]
    assert "2 of 2 right" in html and "1 of 2 right" in html
    assert table_html(results(comparison(siamese=answer(0.9)))) == ""


def test_only_a_long_table_scrolls_by_itself() -> None:
    frames = [table_html(results(comparison(siamese=answer(*[0.9] * n)))) for n in (12, 13)]
    assert ['class="table-frame long"' in html for html in frames] == [False, True]


# Inputs


def last(reading: Callable[..., Iterator[Any]], *given: Any) -> Any:
    """What a reading comes to."""
    *_, found = reading(*given)
    return found


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


def counted_decoding(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are decoded from now on, in their order."""
    decoded, decode = [], inputs.images.decode
    monkeypatch.setattr(
        inputs.images, "decode", lambda source, name: decoded.append(name) or decode(source, name)
    )
    return decoded


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


# Settings


def settings(**changed) -> list:
    values = {"steps": "", "entropy": 0.1, "transductive": False, "last_block": False}
    values |= {
        "temperature": "",
        "template": AUTOMATIC,
        "own": "",
        "model": None,
    } | changed
    assert len(values) == N_SETTINGS
    return list(values.values())


def test_untouched_settings_are_the_engines_defaults() -> None:
    from fewshot.methods import Settings

    choices = choices_of(settings())
    assert choices == Choices()
    engine = Settings()
    assert (choices.steps, choices.temperature) == (engine.steps, engine.temperature)
    assert choices.entropy_weight == engine.entropy_weight
    assert choices.transductive is engine.transductive is False
    assert choices.last_block is engine.last_block is False


def test_settings_are_read_as_typed() -> None:
    choices = choices_of(settings(temperature=" 2,5 ", template=OWN, own="an {}\n\n the {} \n"))
    assert choices.temperature == 2.5
    assert choices.templates == ("an {}", "the {}")
    assert choices_of(settings(template="plain")).templates == ("{}",)
    assert choices_of(settings(steps=" 7 ")).steps == 7
    assert choices_of(settings(transductive=True)).transductive is True
    assert choices_of(settings(last_block=True)).last_block is True
    for changed, sentence in [
        ({"temperature": "warm"}, "is no number"),
        ({"template": OWN, "own": " \n"}, "are empty"),
        ({"steps": "2.5"}, "no whole number"),
        ({"entropy": None}, "A number is missing"),
    ]:
        with pytest.raises(InputError, match=sentence):
            choices_of(settings(**changed))


def test_the_panel_has_the_inputs_that_choices_are_made_of() -> None:
    with gr.Blocks():
        assert len(build_settings_panel().inputs) == N_SETTINGS


def test_what_was_run_with_goes_into_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fewshot.prompts import templates
    from fewshot.report import as_json, conditions

    def told(preset: str, choices: Choices) -> dict:
        run_with = conditions(preset, settings_of(choices, preset), choices.model)
        report = json.loads(json.dumps(as_json(comparison(siamese=answer(0.9)), (), run_with)))
        return {key: report[key] for key in ("preset", "settings")}

    defaults = told("drawings", Choices())
    assert defaults == {
        "preset": "drawings",
        "settings": {
            "steps": None,
            "temperature": None,
            "entropy_weight": 0.1,
            "templates": list(templates("drawing")),
            "transductive": False,
            "last_block": False,
            "model": "embedded",
        },
    }
    chosen = Choices(steps=7, temperature=2.5, last_block=True, model="ViT-B-32", templates=("{}",))
    changed = {"steps": 7, "temperature": 2.5, "last_block": True, "templates": ["{}"]}
    # Not on this machine: what is unavailable tells of that.
    expected = defaults["settings"] | changed | {"model": "ViT-B-32"}
    assert told("photos", chosen) == {"preset": "photos", "settings": expected}
    given = str(write_tiny_clip(tmp_path / "tiny"))
    monkeypatch.setenv("FEWSHOT_CLIP", given)
    assert told("drawings", Choices())["settings"]["model"] == given


# The engine as the page runs it


def task():
    classes = [(f"Letter {g}", [picture(g, d, f"{g}/{d}.png") for d in range(2)]) for g in range(3)]
    return support_set(classes), [picture(1, 9, "q.png")]


def test_the_cards_are_the_methods_of_the_engine() -> None:
    from fewshot.compare import COMPARED
    from fewshot.methods import METHODS

    assert tuple(TITLES) == COMPARED
    assert {name: METHODS[name].title for name in TITLES} == TITLES


def test_step_by_step_gives_what_compare_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fewshot.compare import COMPARED, compare

    monkeypatch.setenv("FEWSHOT_CLIP", str(write_tiny_clip(tmp_path / "tiny")))
    support, queries = task()
    *steps, stepwise = compare_in_steps(support, queries, "drawings", Choices())
    assert all(isinstance(step, Step) for step in steps)
    shares = [step.share for step in steps]
    assert shares == sorted(shares) and shares[0] >= 0 and shares[-1] < 1
    # Named as on the cards, where the baseline has a line of the tuned one's.
    told = dict.fromkeys(step.what for step in steps)
    assert list(told) == ["Waking the engine", *TITLES.values(), BASELINE_TITLE]
    tuned = comparison(finetune=answer(0.2), prototype=answer(0.6))
    assert BASELINE_TITLE in cards_html(results(tuned), 0)
    at_once = compare(support, queries, "drawings", (*COMPARED, "prototype"))
    assert list(stepwise.results) == list(at_once.results) == [*TITLES, "prototype"]
    assert stepwise.unavailable == at_once.unavailable
    for name, result in at_once.results.items():
        np.testing.assert_array_equal(
            stepwise.results[name].prediction.probabilities, result.prediction.probabilities
        )
        assert stepwise.results[name].neighbours == result.neighbours


@pytest.mark.parametrize(
    ("preset", "choices", "sentence"),
    [
        ("photos", Choices(model="ViT-B-32"), "is not on this machine"),
        ("sketches", Choices(), "no preset"),
        ("drawings", Choices(temperature=0.0), "temperature lies in 0.001 to 1000"),
        ("drawings", Choices(steps=501), "0 to 500 steps"),
        ("drawings", Choices(templates=("no braces",)), "template needs"),
        ("drawings", Choices(model="/etc"), "There is no CLIP model “/etc”"),
    ],
)
def test_what_cannot_be_run_says_why(preset: str, choices: Choices, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        list(compare_in_steps(*task(), preset, choices))


def test_a_stop_between_methods_ends_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    from fewshot import compare

    fitted, fit = [], compare.fit

    def counted(support, preset, names, *others, **more):
        fitted.extend(names)
        return fit(support, preset, names, *others, **more)

    monkeypatch.setattr(compare, "fit", counted)
    running = compare_in_steps(*task(), "drawings", Choices())
    while not fitted:
        next(running)
    running.close()
    assert fitted == ["siamese"]


def test_all_embedding_is_done_in_portions_before_a_method_is_fitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fewshot import compare, embedding_cache
    from fewshot.encoders import get_encoder

    monkeypatch.setenv("FEWSHOT_CLIP", str(write_tiny_clip(tmp_path / "tiny")))
    monkeypatch.setattr(embedding_cache, "AT_ONCE", 2)
    monkeypatch.setattr(compare, "CACHE", EmbeddingCache())
    encoder, sizes, fitting = get_encoder("clip"), [], []
    fit, embed, embed_views = compare.fit, encoder.embed, encoder.embed_views

    def seen(pictures):
        sizes.append((len(pictures), bool(fitting)))
        return pictures

    monkeypatch.setattr(encoder, "embed", lambda these: embed(seen(these)))
    monkeypatch.setattr(encoder, "embed_views", lambda these, n: embed_views(seen(these), n))

    def fitted(*arguments, **more):
        fitting.append(True)
        found = fit(*arguments, cache=compare.CACHE, **more)
        classify = found.classify
        object.__setattr__(found, "classify", lambda queries: classify(queries, compare.CACHE))
        return found

    monkeypatch.setattr(compare, "fit", fitted)
    support, queries = task()
    for step in compare_in_steps(support, queries, "photos", Choices()):
        if isinstance(step, Step):
            fitting.clear()
    assert sizes and max(size for size, _ in sizes) == 2
    assert not any(within_a_fit for _, within_a_fit in sizes)


def test_a_run_ends_when_asked_to_and_when_it_takes_too_long(monkeypatch) -> None:
    now, stopping = [0.0], {"asked": False}
    monkeypatch.setattr(busy.time, "monotonic", lambda: now[0])

    def steps():
        for share in (0.0, 0.3, 0.6, 0.9):
            yield Step(share, "x")
        yield "answer"

    assert list(busy.until_stopped(steps(), stopping))[-1] == "answer"
    running = busy.until_stopped(steps(), stopping)
    assert next(running).share == 0.0
    assert busy.ask_to_stop(stopping)["value"] == "Stopping"
    assert list(running) == []
    running = busy.until_stopped(steps(), {"asked": False})
    next(running)
    now[0] = busy.MOST_SECONDS + 1.0
    with pytest.raises(InputError, match="A run ends after 15 minutes"):
        next(running)


def gallery_of(folder: Path, count: int) -> list[tuple[str, None]]:
    folder.mkdir()
    return [(write_png(folder / f"{i}.png", i, i), None) for i in range(count)]


def zip_path(path: Path, classes: int = 2, shots: int = 3) -> str:
    buffer = io.BytesIO()
    Image.fromarray(draw(1, 1)).save(buffer, "PNG")
    with zipfile.ZipFile(path, "w") as archive:
        for i in range(classes * shots):
            archive.writestr(f"Letter {i % classes}/{i}.png", buffer.getvalue())
    return str(path)


BUTTONS = busy.RunButtons(None, None, [None])


@pytest.mark.parametrize("run", ["classify", "look"])
@pytest.mark.parametrize("given", ["slots", "queries", "zip"])
def test_a_stop_ends_the_reading_of_pictures(given, run, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(inputs, "PAUSE_EVERY", 0.0, raising=False)
    monkeypatch.setattr(busy, "LEGIBLE", 0.0)
    monkeypatch.setattr(look_run, "still_valid", lambda *_: None)
    path = zip_path(tmp_path / "letters.zip") if given == "zip" else ""
    shown = [gallery_of(tmp_path / name, 3 if given == "slots" else 1) for name in ("a", "b")]
    asked = gallery_of(tmp_path / "queries", 6 if given == "queries" else 1)
    slots = ["a", "b", *[""] * 8, *shown, *[None] * 8, *[""] * 10]
    values = [None, 0.1, False, False, None, AUTOMATIC, "", None, path, bool(path), 2, *slots]
    stopping, decode, decoded = {"asked": False}, inputs.images.decode, []
    last = 4 if given == "queries" else 2  # two of the shown come before the queries

    def stopped(source, name):
        decoded.append(name)
        stopping["asked"] = len(decoded) == last
        return decode(source, name)

    monkeypatch.setattr(inputs.images, "decode", stopped)
    runs = {
        "classify": (classify_tab.run_engine, ["asked", "", "drawings", asked, {}, "", None, 0]),
        "look": (look_run.run_look, ["asked", "asked", None, 0, "drawings", asked]),
    }
    handler, more = runs[run]
    *updates, end = handler(BUTTONS, stopping, *more, *values)
    assert len(decoded) == last
    assert busy.STOPPED in end and end[: len(BUTTONS.idle())] == BUTTONS.idle()
    bars = [float(re.search(r'value="([\d.]+)"', update[1])[1]) for update in updates]
    assert max(bars) > 0
    assert inputs._READING._value == 2  # whoever reads a zip next does not wait for this one


def test_the_reading_of_pictures_counts_towards_a_run_s_time(tmp_path, monkeypatch) -> None:
    now, decode = [0.0], inputs.images.decode
    for module in (busy, inputs):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now[0]))

    def slow(source, name):
        now[0] += busy.MOST_SECONDS / 4
        return decode(source, name)

    monkeypatch.setattr(inputs.images, "decode", slow)
    shown = [gallery_of(tmp_path / name, 4) for name in ("a", "b")]
    slots = ["a", "b", *[""] * 8, *shown, *[None] * 8, *[""] * 10]
    values = [None, 0.1, False, False, None, AUTOMATIC, "", None, "", False, 2, *slots]
    given = ["asked", "", "drawings", shown[0], {}, "", None, 0]
    with pytest.raises(gr.Error, match="A run ends after 15 minutes"):
        list(classify_tab.run_engine(BUTTONS, {"asked": False}, *given, *values))
    assert now[0] < 2 * busy.MOST_SECONDS  # not all eight


def test_a_zip_is_read_once_and_several_are_kept(tmp_path, monkeypatch) -> None:
    paths = [zip_path(tmp_path / f"{i}.zip") for i in range(3)]
    decoded = counted_decoding(monkeypatch)
    for _ in range(2):
        assert [len(inputs.read_zip(path).classes) for path in paths] == [2] * 3
        assert len(inputs.read_folders(Path(paths[0])).classes) == 2
    assert len(decoded) == 3 * 6


def test_what_the_machine_says_is_told_without_its_markup() -> None:
    error = gr.Error('Your <a href="x">quota</a> is spent &amp; gone')
    assert errors.sentence(error) == "Your quota is spent & gone"


def test_steps_too_quick_to_be_read_are_passed_over_and_answers_never(monkeypatch) -> None:
    now = [0.0]
    monkeypatch.setattr(busy.time, "monotonic", lambda: now[0])

    def at(*moments: float) -> list[object]:
        now[0] = 0.0

        def steps():
            for moment in moments:
                now[0] = moment
                yield Step(moment, "x")
            yield "answer"
            yield "another"

        return [step if isinstance(step, str) else step.share for step in busy.legible(steps())]

    assert at(0.01, 0.02, 0.05) == [0.01, "answer", "another"]
    assert at(0.05, 0.12, 0.16, 0.2, 0.27, 5.0) == [0.05, 0.16, 0.27, 5.0, "answer", "another"]


def test_photos_go_through_one_clip_for_every_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEWSHOT_CLIP", str(write_tiny_clip(tmp_path / "tiny")))
    support, queries = task()
    *_, full = compare_in_steps(support, queries, "photos", Choices())
    assert list(full.results) == [*TITLES, "prototype"]
    html = cards_html(results_of(full, support, queries, {}, note="A note."), 0)
    assert "absent" not in html
    assert "never your pictures" in html
    assert "A note." in html


def test_a_description_changes_what_clip_reads_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEWSHOT_CLIP", str(write_tiny_clip(tmp_path / "tiny")))
    support, queries = task()
    described = replace(support, descriptions=("", "with a tail", ""))
    renamed = replace(support, classes=("Letter 0", "Letter 1, with a tail", "Letter 2"))
    bare, with_more, by_name = (
        list(compare_in_steps(given, queries, "drawings", Choices()))[-1].results
        for given in (support, described, renamed)
    )
    assert with_more["clip"].prediction.classes == support.classes

    def shares(answers, method):
        return answers[method].prediction.probabilities

    np.testing.assert_array_equal(shares(with_more, "clip"), shares(by_name, "clip"))
    assert (shares(with_more, "clip") != shares(bare, "clip")).any()
    for method in ("siamese", "triplet", "finetune"):
        np.testing.assert_array_equal(shares(with_more, method), shares(bare, method))


def test_other_queries_are_used_only_when_asked_for() -> None:
    support, _ = task()
    queries = [picture(glyph, 20 + i, f"{i}.png") for i, glyph in enumerate((0, 1, 2, 1))]

    def asked(transductive: bool, queries: list[Picture]) -> np.ndarray:
        # Answers as sure as the encoder's own temperature makes them leave nothing to change.
        choices = Choices(transductive=transductive, temperature=8)
        *_, full = compare_in_steps(support, queries, "drawings", choices, ("finetune",))
        assert list(full.results) == ["finetune"]
        return full.results["finetune"].prediction.probabilities

    inductive = asked(False, queries)
    assert not np.allclose(asked(True, queries), inductive, rtol=1e-2, atol=0)
    np.testing.assert_allclose(inductive[:1], asked(False, queries[:1]), rtol=1e-4)


# Files


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


# CLIP's files


def test_how_long_a_picture_takes_is_known_after_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = str(write_tiny_clip(tmp_path / "tiny"))
    monkeypatch.setenv("FEWSHOT_CLIP", folder)
    monkeypatch.setattr(timings, "_MILLISECONDS", {})
    assert "a picture here" not in clip_files.whereabouts(None).sentence
    slow = replace(answer(0.5, 0.5, 0.5), milliseconds=np.array([900.0, 63.4, 51.0]))
    clip_files.remember_pace(None, comparison(siamese=slow))  # CLIP did not answer
    assert "a picture here" not in clip_files.whereabouts(None).sentence
    clip_files.remember_pace(None, comparison(clip=slow))
    slower = replace(slow, milliseconds=slow.milliseconds * 9)  # the machine was busy
    clip_files.remember_pace(None, comparison(clip=slower))
    told = clip_files.whereabouts(folder).sentence
    assert told.endswith("At best it takes about 63 ms a picture here.")


@pytest.mark.parametrize(
    ("milliseconds", "told"), [(0.2, "1 ms"), (14.6, "15 ms"), (127, "130 ms"), (1_234, "1,200 ms")]
)
def test_a_pace_has_two_digits(
    milliseconds: float, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timings, "_MILLISECONDS", {"a": milliseconds})
    assert timings.pace("a") == f"At best it takes about {told} a picture here."
    assert timings.pace("b") == ""


def test_a_model_given_at_the_start_is_offered_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = str(write_tiny_clip(tmp_path / "tiny"))
    monkeypatch.setenv("FEWSHOT_CLIP", folder)
    listed, default = clip_files.choices()
    assert default == folder
    assert listed[0] == ("tiny", folder)
    found = clip_files.whereabouts(None)
    assert found.here and not found.downloadable
    assert folder not in found.sentence  # a visitor need not know where things lie


def test_a_model_that_is_not_here_may_be_downloaded_if_it_is_listed() -> None:
    listed, default = clip_files.choices()
    assert listed[0][1] == default == "embedded"
    assert "small embedded model" in clip_files.whereabouts(default).sentence
    found = clip_files.whereabouts("ViT-B-32")
    assert not found.here and found.downloadable
    assert clip_files.size("ViT-B-32") == "605 MB"
    # Nor is a visitor told which folders there are.
    for path in ("/etc", "/no/such/folder", "hf-hub:a/b"):
        found = clip_files.whereabouts(path)
        assert not found.downloadable and found.sentence.startswith("There is no CLIP model “")
    with pytest.raises(InputError, match="can be downloaded here"):
        next(clip_files.download("hf-hub:somebody/something"))


def test_a_caution_says_what_is_known_and_the_page_where_to_choose_another() -> None:
    from fewshot.encoders.clip_models import EMBEDDED, find_clip

    caution = find_clip(EMBEDDED).caution
    assert re.search(r"it knows \d+ nouns", caution)
    assert "Settings" not in caution  # which neither the command line nor the API has
    told = clip_files.whereabouts(EMBEDDED).sentence
    assert told.startswith(caution)
    assert "choose a real CLIP model above" in told and "Settings" not in told
    told = clip_files.cautioned([caution], "under Settings")
    assert told.startswith(caution) and told.endswith("choose a real CLIP model under Settings.")
    assert clip_files.cautioned([], "under Settings") == ""


def test_the_names_that_the_embedded_clip_knows_are_listed_from_its_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fewshot.encoders.clip_models import CARD_FILE, EMBEDDED_FOLDER

    assert known_names.CARD == EMBEDDED_FOLDER / CARD_FILE
    card = tmp_path / "card.json"
    monkeypatch.setattr(known_names, "CARD", card)
    card.write_text(json.dumps({"knows": "a lot"}))
    assert known_names.known_names() == {} and known_names.known_names_html() == ""
    assert "How it works" not in clip_files.cautioned(["Caution."], "above")
    card.write_text(json.dumps({"nouns": ["bee", "ox <cart>"], "symbols": ["letter a"]}))
    html = known_names.known_names_html()
    assert "2 nouns and 1 letters, digits and symbols" in html
    assert "bee, ox &lt;cart&gt;." in html and "letter a." in html
    assert "\n" not in html  # Markdown would end the block there
    assert "“How it works” lists the names" in clip_files.cautioned(["Caution."], "above")
    with gr.Blocks() as page:
        build_about_tab()
    (about,) = (c for c in page.blocks.values() if isinstance(c, gr.Markdown))
    assert html in about.value and "<!--" not in about.value


def test_an_unreachable_hub_is_said_within_three_seconds() -> None:
    began = time.monotonic()
    with pytest.raises(InputError, match="hub did not answer"):
        list(clip_files.download("ViT-B-32"))
    assert time.monotonic() - began < 3.5


# The boundary


def test_only_an_input_error_is_told_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    def fail(error: Exception):
        raise error

    with pytest.raises(gr.Error) as told:
        errors.shown(fail)(InputError("'<b>' is no picture."))
    assert told.value.message == "&#x27;&lt;b&gt;&#x27; is no picture."
    with pytest.raises(gr.Error) as told:
        errors.told(fail)(InputError("'<b>' is no picture."))
    assert told.value.message == "'<b>' is no picture."
    with pytest.raises(gr.Error) as told:
        errors.shown(fail)(KeyError("/secret/path"))
    assert told.value.message == markup.escaped(errors.UNEXPECTED)
    assert "/secret/path" in caplog.text  # whoever runs the page is told


def test_a_generator_that_fails_is_caught_too() -> None:
    def steps():
        yield 1
        raise InputError("No.")

    running = errors.shown(steps)()
    assert next(running) == 1
    with pytest.raises(gr.Error, match="No"):
        next(running)


# Starting


def test_building_the_page_imports_no_torch() -> None:
    code = (
        "import sys; from fewshot.ui.page import build_page; build_page(); "
        "sys.exit(sorted({'torch', 'faiss', 'open_clip'} & set(sys.modules)) or 0)"
    )
    root = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "environment", "sentence"),
    [
        (["--port", "seven"], {}, "a port is a number from 1 to 65535, not 'seven'"),
        ([], {"GRADIO_SERVER_PORT": "0"}, "a port is a number from 1 to 65535, not '0'"),
        (["--frobnicate"], {}, "unrecognized arguments: --frobnicate"),
        (
            ["--port", "7999"],
            {"FEWSHOT_CHECKPOINTS": "/nowhere"},
            "FEWSHOT_CHECKPOINTS is to name a folder",
        ),
        (["--port", "7999", "--host", "256.0.0.1"], {}, "cannot listen on 256.0.0.1:7999"),
        (["--port", "7999", "--host", "." + "a" * 64], {}, "cannot listen on .a"),
    ],
)
def test_bad_arguments_end_in_one_line(
    arguments: list[str], environment: dict[str, str], sentence: str
) -> None:
    done = subprocess.run(
        [sys.executable, "app.py", *arguments],
        cwd=Path(__file__).parents[1],
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert sentence in done.stderr


def test_a_taken_port_is_said_and_no_other_is_tried() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(server.StartError, match=f"cannot listen on 127.0.0.1:{port}"):
            server.run("127.0.0.1", port)


def test_a_space_listens_to_the_world(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GRADIO_SERVER_NAME", raising=False)
    monkeypatch.delenv("SPACE_ID", raising=False)
    assert server.default_host() == "127.0.0.1"
    monkeypatch.setenv("SPACE_ID", "somebody/something")
    assert server.default_host() == "0.0.0.0"
    monkeypatch.setenv("GRADIO_SERVER_NAME", "10.0.0.1")
    assert server.default_host() == "10.0.0.1"


# What becomes of inputs


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


def shown_as(pictures: list[Picture], labels: list[int]) -> SupportSet:
    return SupportSet(("A", "B"), tuple(pictures), np.array(labels))


def test_what_was_shown_is_remarked_on() -> None:
    from fewshot.remarks import blank_queries, blank_supports, in_two_classes, photographed

    drawn = [Picture(f"{i}.png", draw(i, 3)) for i in range(6)]
    assert (
        photographed(drawn, "drawings", "…")
        == in_two_classes(shown_as(drawn, [0] * 3 + [1] * 3))
        == ""
    )
    rng = np.random.default_rng(0)
    smooth = np.asarray(Image.fromarray(rng.integers(0, 255, (6, 6, 3), np.uint8)).resize((90, 90)))
    said = photographed([Picture("p", smooth)] * 3, "drawings", "choose Photos")
    assert said.endswith("only their outlines are seen: choose Photos.")
    assert photographed([], "drawings", "…") == ""
    assert photographed([Picture("p", smooth)] * 3, "photos", "…") == ""
    same = [*drawn[:3], Picture("again.png", drawn[1].pixels)]
    said = in_two_classes(shown_as(same, [0, 0, 0, 1]))
    assert said.startswith("'1.png' is shown in more than one class")
    assert in_two_classes(shown_as(same, [0, 0, 0, 0])) == ""
    assert blank_supports([]) == ""
    assert "'a' and 'b', yet they stand" in blank_supports(["a", "b"])
    assert "'c' and 2 more" in blank_supports(list("abcde"))
    blank = (Blank("a", 0), Blank("shown", None), Blank("b", 2))
    asked = Comparison(("A", "B"), ("a", "x", "b"), {}, without_ink=blank)
    assert blank_queries(asked).endswith("'a' and 'b': what is said of them rests on nothing.")
    assert blank_queries(replace(asked, without_ink=blank[1:2])) == ""


def test_names_that_clip_reads_as_one_are_told_of() -> None:
    from fewshot.remarks import alike_to_clip, remarks

    def shown(*names: str, descriptions: tuple[str, ...] = ()) -> SupportSet:
        return SupportSet(names, (), np.zeros(0, int), descriptions)

    assert alike_to_clip(shown("cat", "dog", "cats")) == ""
    said = alike_to_clip(shown("cat", "dog", "Cat"))
    assert said.startswith("CLIP reads 'cat' and 'Cat' as one name")
    assert alike_to_clip(shown("cat", "Cat", descriptions=("", "a wild one"))) == ""
    # Only where CLIP answers; the other methods tell such classes apart.
    assert remarks(Comparison(("cat", "Cat"), ("q",), {}), shown("cat", "Cat")) == []
    even = np.full((1, 2), 0.5, np.float32)
    clip = MethodResult(Prediction(("cat", "Cat"), even, even), np.zeros(1), ((),))
    with_clip = Comparison(("cat", "Cat"), ("q",), {"clip": clip})
    assert remarks(with_clip, shown("cat", "Cat")) == [alike_to_clip(shown("cat", "Cat"))]


def test_what_was_given_comes_back_as_far_as_its_files_are_there() -> None:
    from fewshot.ui import classes_panel, files
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
    from fewshot.ui import files
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


def test_a_blank_query_is_marked_and_the_others_are_not() -> None:
    full = replace(comparison(finetune=answer(0.2, 0.3)), without_ink=(Blank("q1.png", 1),))
    for query, blank in ((0, False), (1, True)):
        assert ("No drawing was found in it: what" in cards_html(results(full), query)) == blank
    rows = re.findall("<tr data-query.*?</tr>", table_html(results(full)))
    assert ["∅" in row for row in rows] == [False, True]


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


def test_a_change_asks_the_browser_for_little() -> None:
    """Gradio's reads every input and trigger of each listener, and tells every progress target."""
    from fewshot.ui.page import build_page

    page = build_page()
    listeners = [one for one in page.fns.values() if one.api_visibility == "private"]
    asked = [one for one in listeners if one.fn is not None]
    assert len(asked) > 30
    assert [one.fn for one in asked if one.show_progress_on != []] == []
    assert [one.targets for one in listeners if len(one.targets) > 10] == []

    read = dict.fromkeys(page.blocks, 0)  # inputs that are read when it changes
    for one in listeners:
        for number in (block for block, event in one.targets if event == "change"):
            read[number] += len(one.inputs)
    told_of_many = [page.blocks[number] for number, n in read.items() if n > 2]
    assert len(told_of_many) == 7  # two of each tab, one of the kind of pictures
    assert all(isinstance(one, gr.Textbox) and one.visible is False for one in told_of_many)


def test_a_word_on_a_run_goes_with_the_next_change_alone() -> None:
    """Not with the end of the run, which may come after a change: it would never be seen."""
    from fewshot.ui.page import build_page

    page = build_page()
    (word,) = (one for one in page.blocks.values() if one.elem_id == "problem-said")
    listeners = page.fns.values()
    (clearing,) = (
        one for one in listeners if one.outputs == [word] and "change" in dict(one.targets).values()
    )
    (field,) = dict(clearing.targets)
    tellers = [one for one in listeners if one.outputs == [page.blocks[field]]]
    assert len(tellers) > 30
    assert {event for one in tellers for _, event in one.targets} == {"change"}
