"""The page without a browser: settings, and the files of CLIP."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from made_up import answer, comparison
from tiny_clip import write_tiny_clip

import fewshot.known_names
from fewshot.types import InputError
from fewshot.ui import clip_files, timings
from fewshot.ui.about_tab import build_about_tab
from fewshot.ui.engine import Choices, settings_of
from fewshot.ui.known_names import known_names_html
from fewshot.ui.settings_panel import AUTOMATIC, N_SETTINGS, OWN, build_settings_panel, choices_of


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

    assert fewshot.known_names.CARD == EMBEDDED_FOLDER / CARD_FILE
    card = tmp_path / "card.json"
    monkeypatch.setattr(fewshot.known_names, "CARD", card)
    card.write_text(json.dumps({"knows": "a lot"}))
    assert fewshot.known_names.known_names() == {} and known_names_html() == ""
    assert "How it works" not in clip_files.cautioned(["Caution."], "above")
    card.write_text(json.dumps({"nouns": ["bee", "ox <cart>"], "symbols": ["letter a"]}))
    html = known_names_html()
    assert "2 nouns and 1 letters, digits and symbols" in html
    assert "bee, ox &lt;cart&gt;." in html and "letter a." in html
    assert "\n" not in html  # Markdown would end the block there
    assert "“How it works” lists the names" in clip_files.cautioned(["Caution."], "above")
    with gr.Blocks() as page:
        build_about_tab()
    (about,) = (c for c in page.blocks.values() if isinstance(c, gr.Markdown))
    assert html in about.value and "<!--" not in about.value


def test_a_hub_that_cannot_be_asked_is_said() -> None:
    with pytest.raises(InputError, match="hub did not answer"):
        list(clip_files.download("ViT-B-32"))
