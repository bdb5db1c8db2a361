"""The page without a browser: the engine as the page runs it."""

from __future__ import annotations

import io
import re
import zipfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest
from made_up import answer, comparison, counted_decoding, picture, results, task, write_png
from PIL import Image
from tiny_clip import write_tiny_clip

from fewshot.embedding_cache import EmbeddingCache
from fewshot.handwriting import draw
from fewshot.types import InputError, Picture
from fewshot.ui import busy, classify_tab, errors, inputs, look_run
from fewshot.ui.cards import cards_html
from fewshot.ui.engine import BASELINE_TITLE, TITLES, Choices, Step, compare_in_steps
from fewshot.ui.results import results_of
from fewshot.ui.settings_panel import AUTOMATIC


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
