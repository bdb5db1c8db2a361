"""The Evaluate tab without a browser: the same numbers as the command line's."""

from __future__ import annotations

import itertools
import re
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from evaluate_runs import QUICK, reports

from fewshot.data.invented import CHARACTERS, DRAWERS, invented_alphabet
from fewshot.episodes import Protocol, draw_episodes
from fewshot.types import InputError
from fewshot.ui.engine import Step
from fewshot.ui.evaluate_data import load_data
from fewshot.ui.evaluate_engine import evaluate_in_steps
from fewshot.ui.evaluate_panel import finished
from fewshot.ui.evaluate_plots import line_frame, plots_of
from fewshot.ui.evaluate_report import Report
from fewshot.ui.evaluate_request import METHOD_TITLES, MOST_SHOWN, Request
from fewshot.ui.evaluate_results import summary
from fewshot.ui.markup import escaped


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


def test_numbers_equal_the_evaluator_s(measured: Report) -> None:
    from fewshot.evaluation import Evaluator

    pool = invented_alphabet()
    episodes = draw_episodes(pool.labels, Protocol(5, 1, 5), 60, 0)
    expected = Evaluator(pool, ["prototype", "pixels"], against="prototype").run(episodes)
    (protocol, found), *others = measured.runs
    assert not others
    for score, same in zip(found.scores, expected.scores, strict=True):
        for name in ("accuracy", "ci95", "calibration_error", "difference", "top5"):
            assert getattr(score, name) == pytest.approx(getattr(same, name), abs=1e-6)
        assert (score.method, score.episodes, score.queries) == (same.method, 60, 60 * 25)
    assert protocol["ways"] == 5 and protocol["dataset"] == "invented alphabet"
    counts = measured.confusions[0, "pixels"].counts
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
    said = "The small CLIP was trained on photos of 'Goldfish': what is measured on such"
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
