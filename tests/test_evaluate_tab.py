"""The Evaluate tab: the same numbers as the command line's, and what a visitor sees and can do."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from conftest import png
from playwright.sync_api import BrowserContext, Page, expect

from fewshot.data.invented import CHARACTERS, DRAWERS, invented_alphabet
from fewshot.data.pool import Pool
from fewshot.episodes import Protocol, draw_episodes
from fewshot.textures import TEXTURES, photograph
from fewshot.types import InputError, Picture
from fewshot.ui import evaluate_engine, evaluate_tab, inputs
from fewshot.ui.busy import RunButtons
from fewshot.ui.engine import Step
from fewshot.ui.evaluate_data import Data, load_data
from fewshot.ui.evaluate_engine import evaluate_in_steps
from fewshot.ui.evaluate_panel import EvaluatePanel, finished, pictures_of_cell
from fewshot.ui.evaluate_plots import ABOVE, BELOW, COLOURS, UP_TO, bar_frame, line_frame, plots_of
from fewshot.ui.evaluate_report import MOST_CLASSES, REMEMBERED, Report, confusion_of
from fewshot.ui.evaluate_request import METHOD_TITLES, MOST_SHOWN, Request
from fewshot.ui.evaluate_results import matrix_html, pictures_html, scores_html, summary
from fewshot.ui.markup import escaped

WAIT = 60_000
# No encoder to load, and hardly a wait.
QUICK = {"methods": ("pixels",), "episodes": 60, "queries": 2}


def reports(request: Request) -> list[Report]:
    return [step for step in evaluate_in_steps(request) if isinstance(step, Report)]


@pytest.fixture(scope="module")
def two() -> Report:
    """Two methods on the example."""
    return reports(Request(methods=("prototype", "pixels"), against="prototype", episodes=60))[-1]


# The engine


def test_titles_are_the_registry_s() -> None:
    from fewshot.methods import METHODS

    assert {name: METHODS[name].title for name in METHOD_TITLES} == METHOD_TITLES
    assert set(METHOD_TITLES) == set(METHODS)


def test_methods_are_measured_in_the_order_of_the_list() -> None:
    assert list(Request(methods=("pixels", "prototype", "siamese")).methods) == [
        "siamese", "prototype", "pixels",
    ]  # fmt: skip


def test_the_example_is_drawn_alike_every_time() -> None:
    pool = invented_alphabet()
    assert len(pool.pictures) == CHARACTERS * DRAWERS and len(set(pool.classes)) == CHARACTERS
    assert len({picture.digest for picture in pool.pictures}) == len(pool.pictures)
    again = invented_alphabet.__wrapped__()
    assert [p.digest for p in again.pictures] == [p.digest for p in pool.pictures]


def test_numbers_equal_the_evaluator_s(two: Report) -> None:
    from fewshot.evaluation import Evaluator

    pool = invented_alphabet()
    episodes = draw_episodes(pool.labels, Protocol(5, 1, 5), 60, 0)
    expected = Evaluator(pool, ["prototype", "pixels"], against="prototype").run(episodes)
    (protocol, found), *others = two.runs
    assert not others
    for score, same in zip(found.scores, expected.scores, strict=True):
        for name in ("accuracy", "ci95", "calibration_error", "difference", "top5"):
            assert getattr(score, name) == pytest.approx(getattr(same, name), abs=1e-6)
        assert (score.method, score.episodes, score.queries) == (same.method, 60, 60 * 25)
    assert protocol["ways"] == 5 and protocol["dataset"] == "invented alphabet"
    counts = two.confusions[0, "pixels"].counts
    np.testing.assert_array_equal(counts, expected.confusion["pixels"])


@pytest.mark.parametrize(("alike_after", "explained"), [(25, "100 100"), (60, "001 111")])
def test_a_missing_spread_is_explained_as_long_as_it_is_missing(
    monkeypatch, alike_after: int, explained: str
) -> None:
    from fewshot.evaluation_results import Evaluation

    alike = property(lambda evaluation: evaluation.scores[0].episodes == alike_after)
    monkeypatch.setattr(Evaluation, "alike", alike)
    monkeypatch.setattr("fewshot.ui.evaluate_request._SHOTS", (1, 2))
    found = reports(Request(**QUICK | {"sweep": "shots", "against": None}))
    assert [report.runs[-1][1].scores[0].episodes for report in found] == [25, 50, 60] * 2
    assert "".join(str(int(bool(r.explained))) for r in found) == explained.replace(" ", "")


def test_portions_hold_the_same_episodes() -> None:
    drawn = draw_episodes(invented_alphabet().labels, Protocol(3, 2, 1), 300, 5)
    portions = list(drawn.in_portions(25).batches())
    assert max(map(len, portions)) == 25 and sum(map(len, portions)) == len(drawn) == 300
    for whole, part in zip(drawn, itertools.chain.from_iterable(portions), strict=True):
        np.testing.assert_array_equal(whole.support, part.support)
        np.testing.assert_array_equal(whole.queries, part.queries)


def test_pictures_are_embedded_in_small_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    from fewshot.embedding_cache import AT_ONCE, EmbeddingCache
    from fewshot.encoders.pixels import PixelEncoder

    monkeypatch.setattr("fewshot.compare.CACHE", EmbeddingCache())
    sizes, embed = [], PixelEncoder.embed
    monkeypatch.setattr(
        PixelEncoder, "embed", lambda self, x: (sizes.append(len(x)), embed(self, x))[1]
    )
    steps = [s for s in evaluate_in_steps(Request(**QUICK)) if isinstance(s, Step)]
    assert max(sizes) == AT_ONCE and sum(sizes) <= 300
    assert len(steps) == 2 + len(sizes)
    # Content is not embedded twice.
    before = len(sizes)
    reports(Request(**QUICK))
    assert len(sizes) == before


def test_all_that_is_embedded_counts_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    from fewshot.embedding_cache import EmbeddingCache

    monkeypatch.setattr("fewshot.compare.CACHE", EmbeddingCache())
    request = Request(**QUICK | {"methods": ("finetune", "pixels"), "episodes": 4})
    shares = [s.share for s in evaluate_in_steps(request) if getattr(s, "what", "")[:5] == "Embed"]
    # Half of it is fine-tuning's, and half of that are views of the pictures.
    assert shares == sorted(shares) and {0, 0.25, 0.5} < set(shares) and shares[-1] < 1


def test_classes_that_the_small_clip_was_trained_on_are_told_of(zip_of: Callable) -> None:
    names = ("Goldfish", "gargle")  # one of the card's nouns
    own = zip_of("own.zip", 2, 3)
    renamed = Path(own).with_name("renamed.zip")
    with zipfile.ZipFile(own) as old, zipfile.ZipFile(renamed, "w") as new:
        for name in old.namelist():
            place = names[name.split("/")[-2] == old.namelist()[0].split("/")[-2]]
            new.writestr(f"{place}/{Path(name).name}", old.read(name))
    asked = {"source": "zip", "zip_path": str(renamed), "ways": 2, "queries": 1, "episodes": 4}
    request = Request(**asked, methods=("prototype",), preset="photos", against=None)
    report = reports(request)[-1]
    said = "It was trained on photos of 'Goldfish': what is measured on such classes is no"
    assert len(report.cautions) == 2 and report.cautions[1].startswith(said)
    assert escaped(said) in finished(report, "")[0]
    drawn = reports(replace(request, preset="drawings"))[-1]
    assert drawn.cautions == ()


def test_an_interval_without_spread_is_explained() -> None:
    from fewshot.evaluation_results import ALIKE

    report = reports(Request(methods=("prototype",), ways=2, episodes=3, against=None))[-1]
    assert report.runs[0][1].scores[0].accuracy == 1 and report.explained == ALIKE
    assert ALIKE in finished(report, "")[0]
    assert reports(Request(**QUICK))[-1].explained == ""


def test_a_sweep_goes_as_far_as_the_data() -> None:
    by_ways = reports(Request(**QUICK | {"sweep": "ways", "episodes": 4}))
    assert [protocol["ways"] for protocol, _ in by_ways[-1].runs] == [5, 10, 20, 30]
    assert by_ways[0].share == 0.25 and by_ways[-1].complete
    assert "ones. 1 of 4 kinds of episodes with 2" in summary(by_ways[0], stopped=True)
    assert summary(by_ways[-1]).startswith("4 kinds of episodes with 2 queries a class")
    first, *_, by_shots = reports(Request(**QUICK | {"sweep": "shots", "episodes": 4}))
    assert [protocol["shots"] for protocol, _ in by_shots.runs] == [1, 2, 3, 5]
    frame = line_frame(by_shots, "shots")
    score = by_shots.runs[1][1].scores[0]
    middle, half = 100 * score.accuracy, 100 * score.ci95
    ends = [middle, max(0, middle - half), min(100, middle + half), middle]
    assert frame[frame["shots"] == 2]["%"].tolist() == pytest.approx(ends, abs=0.006)
    # Lines need two points in the end; till then the one has room.
    assert [plot["visible"] for plot in plots_of(first, "shots")] == [True, False]
    bars, lines = plots_of(first, "shots", going_on=True)
    assert not bars["visible"] and lines.visible and lines.x_lim == [-0.5, 2.5]
    bars, lines = plots_of(by_shots, "shots")
    assert not bars["visible"] and lines.visible
    assert set(by_shots.as_json()) == {"runs"} and len(by_shots.as_json()["runs"]) == 4


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"methods": ()}, "tick at least one"),
        ({"methods": ("magic",)}, "no method 'magic'"),
        ({"against": "siamese"}, "Siamese is to be compared with: tick it"),
        ({"ways": None}, "under “Ways” is missing: type a whole number from 2 to 200"),
        ({"shots": 1.5}, "“Shots” cannot be 1.5"),
        ({"queries": 0}, "“Queries” cannot be 0: type a whole number from 1"),
        ({"episodes": 2_001}, "“Episodes” cannot be 2,001: type a whole number from 2 to 2,000"),
        ({"seed": float("nan")}, "“Seed” cannot be nan"),
        ({"ways": 31}, "the data set has 30"),
        ({"queries": 10}, "1 shown and 10 asked of each class"),
        ({"sweep": "shots", "queries": 9}, "too few for a sweep over shots: they have 1 picture "),
        ({"sweep": "ways", "queries": 10}, "too few for a sweep over ways: they have 0 classes"),
        ({"sweep": "x"}, "over ways or over shots"),
        ({"ways": 30, "queries": 9, "shots": 9, "episodes": 2_000}, "hold 1,080,000 pictures"),
        ({"source": "zip"}, "There is no zip yet"),
        ({"source": "imagenet"}, "no data set"),
        ({"preset": "oils"}, "no preset “oils”"),
        ({"model": "/etc/passwd"}, "no CLIP model"),
        ({"model": "ViT-B-32", "methods": ("clip",)}, "ViT-B-32 is not on this machine"),
        ({"within_group": True}, "needs a data set whose classes have alphabets"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(changes: dict, sentence: str) -> None:
    assert MOST_SHOWN < 1_080_000
    with pytest.raises(InputError, match=re.escape(sentence)):
        list(evaluate_in_steps(Request(**QUICK | changes)))


def test_omniglot_is_asked_for_before_it_is_downloaded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FEWSHOT_CACHE", str(tmp_path))
    with pytest.raises(InputError, match="press Download"):
        load_data("omniglot", None)
    assert list(tmp_path.iterdir()) == []


def test_omniglot_within_alphabets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import shutil

    from omniglot_tree import write_omniglot_tree

    monkeypatch.setenv("FEWSHOT_CACHE", str(tmp_path))
    write_omniglot_tree(tmp_path, alphabets=2, characters=6, drawers=4, split="images_evaluation")
    kept = tmp_path / "downloads" / "omniglot-py"
    made = shutil.make_archive(
        str(kept / "images_evaluation"), "zip", tmp_path, "images_evaluation"
    )
    # torchvision would miss the hash of the real one.
    monkeypatch.setattr("fewshot.data.omniglot._download", lambda split: Path(made))
    chosen = {"source": "omniglot", "within_group": True, "ways": 6, "episodes": 8}
    last = reports(Request(**QUICK | chosen))[-1]
    counts = last.confusions[0, "pixels"].counts
    assert counts.sum() == 8 * 12 and not counts[:6, 6:].any() and not counts[6:, :6].any()
    with pytest.raises(InputError, match="the largest alphabet has 6"):
        reports(Request(**QUICK | chosen | {"ways": 7}))


def test_a_zip_is_read_within_an_upload_s_limits(
    zip_of: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = zip_of("own.zip", 3, 4, {"Letter 0/notes.txt": b"no picture"})
    last = reports(Request(**QUICK | {"source": "zip", "zip_path": path, "ways": 3}))[-1]
    assert last.classes == ("Letter 0", "Letter 1", "Letter 2") and last.n_pictures == 12
    assert len(last.skipped) == 1 and "notes.txt" in last.skipped[0]
    monkeypatch.setattr("fewshot.images.MAX_SET_PICTURES", 12)
    other = zip_of("other.zip", 3, 4, {"Letter 0/notes.txt": b"no picture"})
    with pytest.raises(InputError, match="13 files in class folders and at most 12"):
        load_data("zip", other)
    with pytest.raises(InputError, match=r"only the class 'Letter 0': at least 2"):
        load_data("zip", zip_of("one.zip", 1, 3))


# What is made of the figures


def test_the_table_has_all_figures(two: Report) -> None:
    html = scores_html(two)
    prototype, pixels = two.runs[0][1].scores
    assert f"{100 * pixels.accuracy:.2f} ± {100 * pixels.ci95:.2f} %" in html
    assert f"−{-100 * pixels.difference[0]:.2f} ± " in html
    assert html.count("<tr data-method") == 2 and "Minus Prototype, points" in html
    assert f"{100 * prototype.calibration_error:.1f} %" in html and "<td>1,500</td>" in html
    _, evaluation = two.runs[0]
    for measured, told in ((137_653.2, "140,000"), (1_515.0, "1,500"), (7.46, "7.5"), (0.0, "0.0")):
        scores = [replace(score, episodes_per_second=measured) for score in evaluation.scores]
        paced = [(two.runs[0][0], replace(evaluation, scores=scores))]
        assert scores_html(replace(two, runs=paced)).count(f"<td>{told}</td></tr>") == 2


def test_top_5_has_a_column_where_it_says_something(two: Report) -> None:
    assert "Top 5" not in scores_html(two)  # of five classes
    swept = reports(Request(**QUICK | {"sweep": "ways", "episodes": 4}))[-1]
    html = scores_html(swept)
    (score,) = swept.runs[-1][1].scores
    assert "Top 5" in html and html.count("<td>—</td>") == 1  # 5-way
    # The lines' colours, for which a phone's plot has no room.
    assert html.count(f'style="background:{COLOURS["Pixels"]}"') == len(swept.runs) == 4
    assert "background:" not in scores_html(two)
    # Stopped in its first kind a sweep has bars, of one colour; until then lines are drawn.
    first = replace(swept, runs=swept.runs[:1])
    assert "background:" not in scores_html(first)
    assert COLOURS["Pixels"] in scores_html(first, going_on=True)
    assert f"<td>{100 * score.top5:.2f} %</td>" in html
    for each in (html, scores_html(two)):
        rows = re.findall("<tr data-method.*?</tr>", each)
        assert {len(re.findall("<t[hd]", row)) for row in rows} == {each.count('scope="col"')}


def test_what_scrolls_can_be_reached_and_a_name_is_read_once(two: Report) -> None:
    matrix = matrix_html(two, "0:pixels")
    for html in (scores_html(two), matrix):
        assert len(re.findall(r'-frame" tabindex="0" role="region" aria-label="\w', html)) == 1
    columns, rows = matrix.split("<tbody>")
    assert all(f'alt="{name}"' in columns for name in two.classes)
    assert set(re.findall(r'alt="([^"]*)"', rows)) == {""}


def test_bars_end_in_their_intervals(two: Report) -> None:
    frame = bar_frame(two)
    pixels = two.runs[0][1].scores[1]
    own = frame[frame["method"] == "Pixels"].set_index("part")["%"]
    assert own[BELOW] == pytest.approx(100 * (pixels.accuracy - pixels.ci95), abs=0.006)
    # The colour changes at the mean.
    assert own[BELOW] + own[UP_TO] == pytest.approx(100 * pixels.accuracy, abs=0.011)
    assert own[ABOVE] == pytest.approx(100 * pixels.ci95, abs=0.006)


def test_the_pictures_behind_a_cell_are_those_so_answered(two: Report) -> None:
    from fewshot.encoders import get_encoder
    from fewshot.ui.files import thumbnail

    pool, confusion = invented_alphabet(), two.confusions[0, "pixels"]
    wrong = confusion.counts * (1 - np.eye(CHARACTERS, dtype=int))
    true, answered = (int(i) for i in np.unravel_index(wrong.argmax(), wrong.shape))
    html = pictures_html(two, "0:pixels", true, answered)
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


def test_drawings_are_not_taken_for_photos(two: Report) -> None:
    assert two.remark == ""


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


# The handlers


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
def test_a_cell_that_is_none_is_a_sentence(two: Report, index: object) -> None:
    event = gr.EventData(None, {"index": index, "value": "0:pixels"})
    with pytest.raises(gr.Error, match="no such cell"):
        pictures_of_cell(two, event)
    for report, value in ((None, "0:pixels"), (two, "9:magic")):
        event = gr.EventData(None, {"index": [0, 0], "value": value})
        with pytest.raises(gr.Error, match="no longer kept"):
            pictures_of_cell(report, event)


def test_the_summary_says_what_was_run(two: Report) -> None:
    said = summary(two)
    assert said.startswith("5-way 1-shot episodes with 5 queries a class, drawn from 30 classes")


# In a browser


@pytest.fixture
def tab(window: BrowserContext, page_url: str) -> Iterator[Callable[..., Page]]:
    """Open the tab as a visitor of its own; nothing in it may go wrong unseen."""
    opened, complaints = [], []

    def open_at(width: int = 1280, height: int = 900) -> Page:
        page = window.new_page()
        opened.append(page)
        page.set_viewport_size({"width": width, "height": height})
        page.set_default_timeout(WAIT)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
        page.goto(page_url)
        expect(page.locator("#classify")).to_be_visible(timeout=WAIT)
        shown = page.get_by_role("tab", name="Evaluate")
        if not shown.is_visible():  # on a phone, behind the dots
            page.locator(".overflow-menu > button").click()
            shown = page.locator(".overflow-dropdown button", has_text="Evaluate")
        shown.click()
        expect(page.locator("#evaluate")).to_be_visible(timeout=WAIT)
        for title in ("Siamese", "Triplet", "Fine-tuned prototype", "Prototype"):
            page.locator("#evaluate-methods").get_by_label(title, exact=True).uncheck()
        page.locator("#evaluate-against input").click()
        page.get_by_role("option", name="None", exact=True).click()
        page.fill("#evaluate-episodes input", "40")
        return page

    yield open_at
    for page in opened:
        page.close()
    assert [text for text in complaints if "Method not implemented" not in text] == []


def evaluate(page: Page) -> None:
    page.click("#evaluate")
    expect(page.locator("#evaluate")).to_be_disabled()
    expect(page.locator("#evaluate")).to_be_enabled(timeout=WAIT)
    expect(page.locator("#evaluate-csv")).to_be_visible()
    expect(page.locator("#evaluate-csv")).to_be_enabled()
    expect(page.locator("#evaluate-confusion-of")).to_be_visible()
    expect(page.locator("#evaluate-stop")).to_be_hidden()


def overflow(page: Page) -> int:
    return page.evaluate("document.documentElement.scrollWidth - innerWidth")


def test_the_example_gives_a_table_plots_and_pictures(
    tab: Callable[..., Page], zip_of: Callable
) -> None:
    page = tab()
    page.fill("#evaluate-ways input", "1")
    page.click("#evaluate")
    expect(page.locator("#evaluate-problem-said")).to_contain_text("“Ways” cannot be 1")
    page.fill("#evaluate-ways input", "20")
    expect(page.locator("#evaluate-problem-said .notice")).to_have_count(0)
    evaluate(page)
    outdated = page.locator("#evaluate-outdated .notice")
    expect(outdated).to_have_count(0)
    page.fill("#evaluate-ways input", "5")
    expect(outdated).to_have_text("These answers are for what was given before: press Evaluate.")
    expect(page.locator("#evaluate-scores")).to_have_css("opacity", "0.5")
    page.fill("#evaluate-ways input", "20")  # taken back
    expect(outdated).to_have_count(0)
    page.get_by_label("My zip").check()
    page.set_input_files("#evaluate-zip input[type=file]", zip_of("unused.zip", 2, 2))
    expect(page.locator("#evaluate-zip")).to_contain_text("unused")
    expect(outdated).to_have_count(1)
    page.get_by_label("The example").check()
    expect(outdated).to_have_count(0)
    # Again, as soon as it can be pressed: it runs, and its figures are not called outdated.
    page.fill("#evaluate-ways input", "10")
    evaluate(page)
    expect(outdated).to_have_count(0)
    expect(page.locator("#evaluate-scores")).to_have_css("opacity", "1")
    row = page.locator("#evaluate-scores tr[data-method=pixels]")
    expect(row.locator(".accuracy")).to_have_text(re.compile(r"^\d+\.\d\d ± \d\.\d\d %$"))
    # Three parts of one bar: what is below the interval, and its two halves above.
    bars = page.locator("#evaluate-bars .mark-rect path")
    expect(bars).to_have_count(3, timeout=WAIT)
    # All at once: the page may be scrolling to them.
    above, up_to, below = bars.evaluate_all(
        """(parts) => ["#f0a94a", "#a3aee0", "#5566bb"].map((colour) => {
          const part = parts.find((each) => each.getAttribute("fill") === colour);
          return [part.getBoundingClientRect().y, part.getBoundingClientRect().height];
        })"""
    )
    assert above[0] < up_to[0] < below[0] and 0 < above[1] < below[1]
    cell = page.locator("#evaluate-matrix td.wrong button").first
    count = int(cell.inner_text())
    true, answered = re.match(r"(.+), answered as (.+): \d+", cell.get_attribute("title")).groups()
    cell.click()
    expect(page.locator("#evaluate-behind figcaption")).to_contain_text(
        f"{true} was answered as {answered}"
    )
    assert 1 <= page.locator("#evaluate-behind img").count() <= min(count, REMEMBERED)
    with page.expect_download() as download:
        page.click("#evaluate-csv")
    assert Path(download.value.path()).read_text().startswith("ways,shots,method,accuracy")


def test_what_is_out_of_sight_asks_for_nothing(tab: Callable[..., Page]) -> None:
    page = tab()
    page.get_by_label("Omniglot, evaluation characters").check()
    page.locator("#evaluate-within input").check()
    page.get_by_label("The example").check()
    expect(page.locator("#evaluate-within")).to_be_hidden()
    evaluate(page)  # which has no alphabets
    expect(page.locator("#evaluate-problem-said .notice")).to_have_count(0)


def test_what_makes_no_difference_does_not_count_as_a_change(tab: Callable[..., Page]) -> None:
    held = f"(values) => ({evaluate_tab.EVALUATE_HELD})(...values)"
    compare = partial(tab().evaluate, held)
    zipped = {"path": "a/own.zip"}
    first = compare([None, "invented", None, ["siamese", "pixels"], "drawings", 5, ""])
    assert compare(["", "invented", zipped, ["pixels", "siamese"], "drawings", 5, None]) == first
    assert compare([None, "zip", zipped, ["siamese"], 5]) != compare(
        [None, "zip", None, ["siamese"], 5]
    )
    assert compare([None, "invented", None, ["siamese"], 5]) != compare(
        [None, "invented", None, [], 5]
    )


def test_a_laptop_shows_what_was_asked_for(tab: Callable[..., Page]) -> None:
    page = tab(1280, 720)
    page.evaluate("scrollTo(0, 0)")
    for absent in ("#evaluate-csv", "#evaluate-json", "#evaluate-confusion-of"):
        expect(page.locator(absent)).to_be_hidden()
    expect(page.locator("#evaluate")).to_be_in_viewport(ratio=1)
    page.fill("#evaluate-ways input", "20")
    page.evaluate("scrollTo(0, 9999)")
    evaluate(page)
    expect(page.locator("#evaluate-message .notice")).to_be_in_viewport(ratio=1)
    expect(page.locator("#evaluate-scores table")).to_be_in_viewport(ratio=1)
    page.locator("#evaluate-matrix td button").first.click()  # with the matrix as high as it gets
    expect(page.locator("#evaluate-behind figure")).to_be_in_viewport(ratio=1)


def test_a_sweep_draws_lines(tab: Callable[..., Page]) -> None:
    page = tab()
    page.get_by_label("Over shots").check()
    expect(page.locator("#evaluate-shots input")).to_be_disabled()
    evaluate(page)
    expect(page.locator("#evaluate-scores tr.task")).to_have_count(4)
    expect(page.locator("#evaluate-lines .mark-line path").first).to_be_visible(timeout=WAIT)
    expect(page.locator("#evaluate-bars")).to_be_hidden()


def test_a_zip_that_is_still_on_its_way_is_waited_for(
    tab: Callable[..., Page], tmp_path: Path
) -> None:
    page = tab()
    page.get_by_label("My zip").check()
    page.evaluate("globalThis.uploads++")  # of which the field says nothing yet
    page.click("#evaluate")
    page.wait_for_timeout(500)
    expect(page.locator("#evaluate")).to_be_disabled()
    said = page.locator("#evaluate-problem-said")
    expect(said).to_have_text("")
    broken = tmp_path / "broken.zip"
    broken.write_bytes(b"PK no zip")
    page.set_input_files("#evaluate-zip input[type=file]", str(broken))
    expect(page.locator("#evaluate-zip")).to_contain_text("broken")
    page.evaluate("globalThis.uploads--")
    expect(said).to_contain_text("is not a zip file or is damaged")
    expect(page.locator("#evaluate")).to_be_enabled()


def test_an_own_zip_on_a_phone(tab: Callable[..., Page], zip_of: Callable, tmp_path: Path) -> None:
    page = tab(390, 844)
    assert overflow(page) <= 0
    expect(page.locator("#evaluate")).to_be_in_viewport(ratio=1)
    assert page.locator("#evaluate-against").bounding_box()["width"] > 250  # for a method's title
    page.get_by_label("My zip").check()
    page.click("#evaluate")
    expect(page.locator("#evaluate-problem-said")).to_contain_text("There is no zip yet")
    # Told when the run is over: until then Gradio passes over a click.
    expect(page.locator("[data-testid=toast-body]")).to_contain_text("There is no zip yet")
    broken = tmp_path / "broken.zip"
    broken.write_bytes(b"PK no zip")
    page.set_input_files("#evaluate-zip input[type=file]", str(broken))
    expect(page.locator("#evaluate-zip")).to_contain_text("broken")
    page.click("#evaluate")
    expect(page.locator("#evaluate-problem-said")).to_contain_text(
        "is not a zip file or is damaged"
    )
    page.get_by_label("Clear").first.click()
    page.set_input_files(
        "#evaluate-zip input[type=file]", zip_of("own.zip", 6, 4, {"x/y.png": png(3, 3)})
    )
    expect(page.locator("#evaluate-zip")).to_contain_text("own")
    page.fill("#evaluate-queries input", "2")
    evaluate(page)
    expect(page.locator("#evaluate-message")).to_contain_text("7 classes with 25 pictures: own.zip")
    expect(page.locator("#evaluate-matrix tbody tr")).to_have_count(6)  # "x" has too few
    page.locator("#evaluate-matrix td.right button").first.click()
    expect(page.locator("#evaluate-behind img").first).to_be_visible()
    assert overflow(page) <= 0
