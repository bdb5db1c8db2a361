"""The Evaluate tab without a browser: what is made of the figures, and its handlers."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from conftest import png
from evaluate_runs import QUICK, reports

from fewshot.data.invented import CHARACTERS, DRAWERS, invented_alphabet
from fewshot.data.pool import Pool
from fewshot.textures import TEXTURES, photograph
from fewshot.types import Picture
from fewshot.ui import evaluate_engine, evaluate_report, evaluate_tab, inputs
from fewshot.ui.busy import RunButtons
from fewshot.ui.engine import Step
from fewshot.ui.evaluate_data import Data
from fewshot.ui.evaluate_engine import evaluate_in_steps
from fewshot.ui.evaluate_panel import EvaluatePanel, pictures_of_cell
from fewshot.ui.evaluate_plots import ABOVE, BELOW, COLOURS, UP_TO, bar_frame
from fewshot.ui.evaluate_report import (
    MOST_CLASSES,
    REMEMBERED,
    Album,
    Confusion,
    Report,
    confusion_of,
)
from fewshot.ui.evaluate_request import Request
from fewshot.ui.evaluate_results import matrix_html, pictures_html, scores_html, summary


def test_the_table_has_all_figures(measured: Report) -> None:
    html = scores_html(measured)
    prototype, pixels = measured.runs[0][1].scores
    assert f"{100 * pixels.accuracy:.2f} ± {100 * pixels.ci95:.2f} %" in html
    assert f"−{-100 * pixels.difference[0]:.2f} ± " in html
    assert html.count("<tr data-method") == 2 and "Minus Prototype, points" in html
    assert f"{100 * prototype.calibration_error:.1f} %" in html and "<td>1,500</td>" in html
    _, evaluation = measured.runs[0]
    for pace, told in ((137_653.2, "140,000"), (1_515.0, "1,500"), (7.46, "7.5"), (0.0, "0.0")):
        scores = [replace(score, episodes_per_second=pace) for score in evaluation.scores]
        paced = [(measured.runs[0][0], replace(evaluation, scores=scores))]
        assert scores_html(replace(measured, runs=paced)).count(f"<td>{told}</td></tr>") == 2


def test_top_5_has_a_column_where_it_says_something(measured: Report) -> None:
    assert "Top 5" not in scores_html(measured)  # of five classes
    swept = reports(Request(**QUICK | {"sweep": "ways", "episodes": 4}))[-1]
    html = scores_html(swept)
    (score,) = swept.runs[-1][1].scores
    assert "Top 5" in html and html.count("<td>—</td>") == 1  # 5-way
    # The lines' colours, for which a phone's plot has no room.
    assert html.count(f'style="background:{COLOURS["Pixels"]}"') == len(swept.runs) == 4
    assert "background:" not in scores_html(measured)
    # Stopped in its first kind a sweep has bars, of one colour; until then lines are drawn.
    first = replace(swept, runs=swept.runs[:1])
    assert "background:" not in scores_html(first)
    assert COLOURS["Pixels"] in scores_html(first, going_on=True)
    assert f"<td>{100 * score.top5:.2f} %</td>" in html
    for each in (html, scores_html(measured)):
        rows = re.findall("<tr data-method.*?</tr>", each)
        assert {len(re.findall("<t[hd]", row)) for row in rows} == {each.count('scope="col"')}


def test_what_scrolls_can_be_reached_and_a_name_is_read_once(measured: Report) -> None:
    matrix = matrix_html(measured, "0:pixels")
    for html in (scores_html(measured), matrix):
        assert len(re.findall(r'-frame" tabindex="0" role="region" aria-label="\w', html)) == 1
    columns, rows = matrix.split("<tbody>")
    assert all(f'alt="{name}"' in columns for name in measured.classes)
    assert set(re.findall(r'alt="([^"]*)"', rows)) == {""}


def test_bars_end_in_their_intervals(measured: Report) -> None:
    frame = bar_frame(measured)
    pixels = measured.runs[0][1].scores[1]
    own = frame[frame["method"] == "Pixels"].set_index("part")["%"]
    assert own[BELOW] == pytest.approx(100 * (pixels.accuracy - pixels.ci95), abs=0.006)
    # The colour changes at the mean.
    assert own[BELOW] + own[UP_TO] == pytest.approx(100 * pixels.accuracy, abs=0.011)
    assert own[ABOVE] == pytest.approx(100 * pixels.ci95, abs=0.006)


def test_the_pictures_behind_a_cell_are_those_so_answered(measured: Report) -> None:
    from fewshot.encoders import get_encoder
    from fewshot.ui.files import thumbnail

    pool, confusion = invented_alphabet(), measured.confusions[0, "pixels"]
    wrong = confusion.counts * (1 - np.eye(CHARACTERS, dtype=int))
    true, answered = (int(i) for i in np.unravel_index(wrong.argmax(), wrong.shape))
    html = pictures_html(measured, "0:pixels", true, answered)
    of_class = [thumbnail(p) for p, c in zip(pool.pictures, pool.labels, strict=True) if c == true]
    shown = re.findall(r'<img[^>]* src="([^"]+)"', html)
    assert 1 <= len(shown) <= REMEMBERED and len(set(shown)) == len(shown)
    assert set(shown) <= set(of_class)
    # A query that is remembered there was nearer to some picture of the answered class.
    encoder = get_encoder("pixels")
    x = encoder.embed(pool.pictures)
    for query in confusion.examples[
        (confusion.examples[:, :2] == (true, answered)).all(1), 2
    ].tolist():
        distances = ((x - x[query]) ** 2).sum(1)
        own = np.delete(np.flatnonzero(pool.labels == true), query % DRAWERS)
        assert distances[pool.labels == answered].min() < distances[own].max()
    assert pool.classes[true] in html and f"{wrong.max():,} times" in html


def test_of_many_classes_the_most_confused_are_shown() -> None:
    from fewshot.evaluation_results import Evaluation

    counts = np.zeros((50, 50), int)
    np.fill_diagonal(counts, 5)
    counts[40:, 3] = 7
    examples = np.array([[40, 3, 17], [3, 3, 5], [0, 0, 9]])
    confusion = confusion_of(Evaluation([], {}, {}, {"m": counts}, {"m": examples}), "m")
    assert len(confusion.classes) == MOST_CLASSES and {3, *range(40, 50)} <= set(confusion.classes)
    assert confusion.n_errors == 70 and np.all(np.diff(confusion.classes) > 0)
    for true, answered, query in confusion.examples.tolist():
        ids = confusion.classes[[true, answered]].tolist()
        assert [*ids, query] in examples.tolist()
    assert 17 in confusion.examples[:, 2]


def test_photos_measured_as_drawings_are_remarked_on(monkeypatch: pytest.MonkeyPatch) -> None:
    names = tuple(TEXTURES)
    pictures = [Picture(f"{n}/{i}", photograph(n, i)) for n in names for i in range(3)]
    labels = np.arange(len(names)).repeat(3)
    data = Data(Pool(pictures, labels, names), {"dataset": "photos.zip"})
    monkeypatch.setattr(evaluate_engine, "load_data", lambda *_: data)
    monkeypatch.setattr(evaluate_tab, "SECONDS_BETWEEN", 0)
    messages = {}
    for preset in ("drawings", "photos"):
        keys, values = handled(preset=preset, ways=3, episodes=2)
        *_, early, end, _ = evaluate_tab.run_evaluation(Buttons(), keys, "asked", {}, *values)
        messages[preset] = [outputs(update)["message"] for update in (early, end)]
    for message in messages["drawings"]:
        remark, figures = message.split("3-way 1-shot episodes")
        assert "choose Photos" in remark and "Photos" not in figures
    assert "Photos" not in "".join(messages["photos"])


def test_drawings_are_not_taken_for_photos(measured: Report) -> None:
    assert measured.remark == ""


def test_a_class_name_is_text_whatever_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    pictures = [Picture(f"{i}", rng.integers(0, 255, (8, 8, 3)).astype(np.uint8)) for i in range(8)]
    names = ("<img src=x onerror=alert(1)>", '"${x}')
    pool = Pool(pictures, np.arange(2).repeat(4), names)
    data = Data(pool, {"dataset": "<b>mine</b>.zip"})
    monkeypatch.setattr(evaluate_engine, "load_data", lambda *_: data)
    last = reports(Request(**QUICK | {"ways": 2}))[-1]
    everything = matrix_html(last, "0:pixels") + pictures_html(last, "0:pixels", 0, 0)
    assert "<img src=x" not in everything and "${" not in everything and '"$' not in everything
    assert "&lt;img src=x" in everything


def test_a_face_is_its_own_class_s(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = [Picture(f"{i}.png", np.full((8, 8, 3), 20 * i, np.uint8)) for i in range(6)]
    labels = np.array([2, 2, 0, 0, 3, 3])  # none of class 1
    monkeypatch.setattr(evaluate_report, "thumbnail", lambda picture: picture.name)
    shown = np.array([0, 2, 3])
    confusion = Confusion(shown, np.eye(3), 4, 0, np.zeros((0, 3), np.int64))
    faces, _ = Album(pictures, labels).shown([confusion])
    assert faces == {0: "2.png", 2: "0.png", 3: "4.png"}


def test_a_class_too_small_to_be_drawn_is_told_of(zip_of: Callable[..., str]) -> None:
    path = zip_of("small.zip", 3, 4, {"few/1.png": png(7, 1), "few/2.png": png(7, 2)})
    asked = {"source": "zip", "zip_path": path, "ways": 2, "queries": 2, "episodes": 2}
    report = reports(Request(**asked, methods=("pixels",), against=None))[-1]
    assert report.skipped == ("'few': fewer than the 3 pictures that an episode takes of a class.",)
    report = reports(Request(**asked | {"queries": 1}, methods=("pixels",), against=None))[-1]
    assert report.skipped == ()


class Buttons(RunButtons):
    """Buttons that are not on any page."""

    def __init__(self) -> None:
        super().__init__(None, None, [None])


def handled(**changes) -> tuple[list[str], list]:
    values = {"source": "invented", "zip_path": None, "methods": ["pixels"], "preset": "drawings"}
    values |= {"model": None, "against": "", "ways": 5, "shots": 1, "queries": 2, "episodes": 200}
    values |= {"seed": 0, "sweep": "", "within_group": False} | changes
    return list(values), list(values.values())


def outputs(update: list) -> dict:
    """What a handler's update says, by the panel's parts."""
    parts = ("answered", "problem", "notice", *EvaluatePanel.__dataclass_fields__)
    return dict(zip(parts, update[len(Buttons().idle()) :], strict=True))


def test_stop_keeps_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate_tab, "SECONDS_BETWEEN", 0)
    names, values = handled()
    stopping = {"asked": True}  # of an earlier run
    running = evaluate_tab.run_evaluation(Buttons(), names, "asked", stopping, *values)
    seen = []
    for update in running:
        seen.append(update)
        if "Stopped" not in str(update) and "table" in str(outputs(update)["scores"]):
            evaluate_tab.ask_to_stop(stopping)
    *_, end, again = seen
    last = outputs(end)
    assert "Stopped after 50 of 200 episodes" in last["message"]
    assert last["answered"] == "asked"
    assert last["kept"].runs[0][1].scores[0].episodes == 50
    rows = list(csv.DictReader(io.StringIO(Path(last["csv"]["value"]).read_text())))
    assert [(row["method"], row["episodes"]) for row in rows] == [("pixels", "50")]
    assert (rows[0]["dataset"], rows[0]["stopped"]) == ("invented alphabet", "True")
    saved = json.loads(Path(last["json"]["value"]).read_text())
    assert saved["protocol"]["episodes"] == 200 and saved["results"][0]["episodes"] == 50
    assert "data-cell" in last["matrix"] and last["choice"]["value"] == "0:pixels"
    assert last["notice"] == "" and last["problem"] == gr.skip()
    # Then the plots once more, as Gradio may have missed them, and only now the button: a click
    # before the run's end would come to nothing.
    assert all(update == gr.skip() for update in end[: len(Buttons().idle())])
    assert again[: len(Buttons().idle())] == Buttons().idle()
    twice = outputs(again)
    assert twice.pop("bars")["value"].equals(last["bars"]["value"])
    assert twice.pop("lines") == last["lines"]
    assert all(update == gr.skip() for update in twice.values())


def slow(kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a run take a thousand seconds to its first step of a kind."""
    clock = [0.0]
    monkeypatch.setattr(evaluate_tab.time, "monotonic", lambda: clock[0])

    def steps(request):
        for step in evaluate_in_steps(request):
            clock[0] += 1_000 * isinstance(step, kind)
            yield step

    monkeypatch.setattr(evaluate_tab, "evaluate_in_steps", steps)


def test_a_run_that_takes_too_long_ends_with_the_figures_so_far(monkeypatch) -> None:
    monkeypatch.setattr(evaluate_tab, "SECONDS_BETWEEN", 0)
    slow(Report, monkeypatch)
    names, values = handled()
    *_, end, _ = evaluate_tab.run_evaluation(Buttons(), names, "asked", {}, *values)
    assert "Stopped after 25 of 200 episodes" in outputs(end)["message"]
    assert "A run ends after 15 minutes" in outputs(end)["problem"]


def test_a_run_that_is_still_embedding_ends_as_well(monkeypatch) -> None:
    slow(Step, monkeypatch)
    names, values = handled()
    *_, end = evaluate_tab.run_evaluation(Buttons(), names, "asked", {}, *values)
    assert end[: len(Buttons().idle())] == Buttons().idle()
    found = outputs(end)
    assert "A run ends after 15 minutes" in found.pop("problem")
    assert all(value == gr.skip() for value in found.values())


def test_an_error_leaves_the_figures_so_far(monkeypatch) -> None:
    monkeypatch.setattr(evaluate_tab, "SECONDS_BETWEEN", 0)

    def broken(request):
        for step in evaluate_in_steps(request):
            yield step
            if isinstance(step, Report):
                raise gr.Error("GPU task aborted")  # as ZeroGPU has it

    monkeypatch.setattr(evaluate_tab, "evaluate_in_steps", broken)
    names, values = handled()
    updates = []
    with pytest.raises(gr.Error, match="GPU task aborted"):
        updates.extend(evaluate_tab.run_evaluation(Buttons(), names, "asked", {}, *values))
        raise AssertionError  # not reached
    last = outputs(updates[-1])
    assert "Stopped after 25 of 200 episodes" in last["message"]
    assert "GPU task aborted" in last["problem"] and last["answered"] == "asked"


def test_the_small_embedded_model_is_named(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.delenv("FEWSHOT_CLIP", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    names, values = handled(methods=["clip", "pixels"], episodes=2)
    *_, end, _ = evaluate_tab.run_evaluation(Buttons(), names, "asked", {}, *values)
    message = outputs(end)["message"]
    assert "small embedded model" in message and "under Settings in the Classify tab" in message
    saved = json.loads(Path(outputs(end)["json"]["value"]).read_text())
    assert set(saved["confusion"]) == {"clip", "pixels"}
    assert (
        sum(count for *_, count in saved["confusion"]["pixels"]) == saved["results"][1]["queries"]
    )


def test_a_method_of_another_preset_is_told_of_in_the_page_s_words() -> None:
    names, values = handled(methods=["pixels", "relation"], preset="photos", episodes=2)
    *_, end, _ = evaluate_tab.run_evaluation(Buttons(), names, "asked", {}, *values)
    assert "Relation network: it works on Drawings only." in outputs(end)["message"]


def test_stop_before_the_first_episode_changes_nothing_else() -> None:
    names, values = handled()
    stopping = {"asked": False}
    running = evaluate_tab.run_evaluation(Buttons(), names, "asked", stopping, *values)
    next(running)
    evaluate_tab.ask_to_stop(stopping)
    *_, last = running
    found = outputs(last)
    assert "Stopped. Everything you gave is still here." in found.pop("problem")
    assert all(value == gr.skip() for value in found.values())


def test_stop_ends_the_reading_of_a_zip_and_a_zip_is_read_once(
    zip_of: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs, "PAUSE_EVERY", 0.0, raising=False)
    monkeypatch.setattr(evaluate_tab, "SECONDS_BETWEEN", 0)
    decoded, stopping, decode = [], {"asked": False}, inputs.images.decode

    def stopped(source, name):
        decoded.append(name)
        stopping["asked"] = len(decoded) == 3
        return decode(source, name)

    monkeypatch.setattr(inputs.images, "decode", stopped)
    chosen = {"source": "zip", "zip_path": zip_of("own.zip", 3, 4), "ways": 3, "episodes": 2}
    names, values = handled(**chosen)
    *updates, end = evaluate_tab.run_evaluation(Buttons(), names, "asked", stopping, *values)
    assert len(decoded) == 3 and "Stopped" in outputs(end)["problem"]
    assert 'value="0.167"' in updates[-1][1]  # two of twelve
    for _ in range(2):  # then it is read, and not again
        *_, end, _ = evaluate_tab.run_evaluation(Buttons(), names, "asked", {}, *values)
        assert outputs(end)["kept"].n_pictures == 12
    assert len(decoded) == 3 + 12


def test_a_method_that_cannot_be_had_does_not_keep_the_others_from_being_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FEWSHOT_KOCH", "/no/such/file")
    names, values = handled(methods=["pixels", "koch"], episodes=2)
    *_, end, _ = evaluate_tab.run_evaluation(Buttons(), names, "asked", {}, *values)
    found = outputs(end)
    assert [score.method for score in found["kept"].runs[0][1].scores] == ["pixels"]
    assert "Siamese, Koch et al.: Koch" in found["message"] and "/no/such" not in found["message"]
    for changes in ({"methods": ["koch"]}, {"methods": ["pixels", "koch"], "against": "koch"}):
        names, values = handled(**changes)
        with pytest.raises(gr.Error, match="train koch"):
            list(evaluate_tab.run_evaluation(Buttons(), names, "asked", {}, *values))


def test_what_goes_wrong_leaves_the_results_and_gives_the_button_back() -> None:
    names, values = handled(ways=31)
    updates = []
    with pytest.raises(gr.Error, match="the data set has 30"):
        updates.extend(evaluate_tab.run_evaluation(Buttons(), names, "asked", {}, *values))
    found = outputs(updates[-1])
    assert "the data set has 30" in found.pop("problem")
    assert all(value == gr.skip() for value in found.values())
    assert updates[-1][: len(Buttons().idle())] == Buttons().idle()


@pytest.mark.parametrize("index", [None, 3, [0], [0, 99], ["a", 0], [-1, 0], [0, 1.5]])
def test_a_cell_that_is_none_is_a_sentence(measured: Report, index: object) -> None:
    event = gr.EventData(None, {"index": index, "value": "0:pixels"})
    with pytest.raises(gr.Error, match="no such cell"):
        pictures_of_cell(measured, event)
    for report, value in ((None, "0:pixels"), (measured, "9:magic")):
        event = gr.EventData(None, {"index": [0, 0], "value": value})
        with pytest.raises(gr.Error, match="no longer kept"):
            pictures_of_cell(report, event)


def test_the_summary_says_what_was_run(measured: Report) -> None:
    said = summary(measured)
    assert said.startswith("5-way 1-shot episodes with 5 queries a class, drawn from 30 classes")
