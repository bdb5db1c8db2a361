"""The settings, which need no touching, and the CLIP model: which one, and whether it is here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from fewshot.class_names import quoted
from fewshot.prompts import template_sets, templates
from fewshot.types import InputError
from fewshot.ui import clip_files
from fewshot.ui.busy import download_asked_js, download_failed_js, progress_bar
from fewshot.ui.engine import Choices
from fewshot.ui.errors import sentence, shown
from fewshot.ui.markup import QUIET, block, escaped, notice
from fewshot.ui.reload import read_kept

DEFAULTS = Choices()
# Characters: 100 templates of 200 fit in.
MAX_OWN_TEMPLATES = 20_100
# Values of the template choice beside the names of template_sets().
AUTOMATIC, OWN = "", "own"
N_SETTINGS = 8  # inputs of the panel
MAX_ENTROPY = 2  # weight of the entropy
MAX_TYPED = 20  # characters of a number
# JavaScript, of what outlives a reload: the values of all inputs but the model, and apart from them
# the model, which is put back with the choices it is one of.
SETTINGS_GIVEN = "((...values) => ({ values }))"
MODEL_GIVEN = "((model) => ({ model }))"


@dataclass(frozen=True)
class SettingsPanel:
    """The panel's components.

    Attributes:
        inputs: what :func:`choices_of` takes, in its order.
        model: which CLIP model; the last of the inputs.
        status: says where that model is.
        download: fetches it.
    """

    inputs: list[Any]
    model: gr.Dropdown
    status: gr.HTML
    download: gr.Button


def build_settings_panel() -> SettingsPanel:
    """Lay out the panel and wire what concerns it alone."""
    with gr.Accordion("Settings", open=False, elem_id="settings"):
        # This and the temperature are no Numbers: empty, they would turn into 0 as it opens.
        steps = gr.Textbox(
            label="Fine-tuning steps", placeholder="automatic", max_length=MAX_TYPED,
            info="0 leaves the plain prototypes; at most 500.",
        )  # fmt: skip
        entropy = gr.Slider(
            0, MAX_ENTROPY, DEFAULTS.entropy_weight, step=0.05, label="Entropy weight",
            info="Higher makes fine-tuning commit itself.",
        )  # fmt: skip
        transductive = gr.Checkbox(
            DEFAULTS.transductive, label="Use the other queries too (transductive)",
            info="Fine-tuning then also learns from the pictures to classify, all at once.",
            elem_id="transductive",
        )  # fmt: skip
        last_block = gr.Checkbox(
            DEFAULTS.last_block, label="Tune CLIP’s last block, too (photos)",
            info="The image tower then learns from your pictures; it takes seconds, or a minute "
            "with a large model.",
            elem_id="last-block",
        )  # fmt: skip
        temperature = gr.Textbox(
            label="Temperature", placeholder="automatic", max_length=MAX_TYPED,
            info="Of triplet and fine-tuning: larger is surer.",
        )  # fmt: skip
        named_sets = [(f"{name}: “{texts[0]}” …", name) for name, texts in template_sets().items()]
        template = gr.Dropdown(
            [("As suits the kind of pictures", AUTOMATIC), *named_sets, ("My own", OWN)],
            value=AUTOMATIC, label="Prompt templates for CLIP",
            info="Class names are put into them.",
        )  # fmt: skip
        own = gr.Textbox(
            label="Your templates, one to a line", placeholder="a painting of a {}.", lines=2,
            info="{} stands for the class name.", visible=False, max_length=MAX_OWN_TEMPLATES,
        )  # fmt: skip
        # Filled as the page loads: the list of models comes with the engine.
        model = gr.Dropdown(
            [], label="CLIP model", elem_id="clip-model", allow_custom_value=True
        )  # the engine checks the value
        status = block(elem_id="clip-status")
        with gr.Row():
            download = gr.Button("Download", size="sm", visible=False, elem_id="clip-download")
            reset = gr.Button("Reset settings", size="sm", elem_id="reset-settings")
    template.change(lambda chosen: gr.update(visible=chosen == OWN), template, own, **QUIET)
    values = [steps, entropy, transductive, last_block, temperature, template, own]
    first = ["", DEFAULTS.entropy_weight, DEFAULTS.transductive, DEFAULTS.last_block]
    defaults = [*first, "", AUTOMATIC, ""]
    reset.click(lambda: defaults, None, values, **QUIET)
    reset.click(fill_models, None, [model, status, download], **QUIET)
    model.change(model_status, model, [status, download], **QUIET)
    told = [status, download]
    download.click(None, None, told, js=download_asked_js(), **QUIET)
    downloading = download.click(
        downloaded, model, told, concurrency_id="download", concurrency_limit=1, **QUIET
    )
    downloading.failure(None, status, told, js=download_failed_js(), **QUIET)
    # Of the model that is chosen by now.
    downloading.success(model_status, model, [status, download], **QUIET)
    return SettingsPanel([*values, model], model, status, download)


def choices_of(values: Sequence[Any]) -> Choices:
    """The values of the panel's inputs as Choices.

    Raises:
        InputError: own templates are asked for and none is given, or a number is missing.
    """
    steps, entropy, transductive, last_block, temperature, template, own, model = values
    if entropy is None:
        raise InputError("A number is missing under Settings: type one, or reset them.")
    return Choices(
        steps=chosen_steps(steps),
        temperature=chosen_temperature(temperature),
        entropy_weight=float(entropy),
        templates=chosen_templates(template, own),
        model=model or None,
        transductive=bool(transductive),
        last_block=bool(last_block),
    )


@shown
def settings_again(kept: str) -> list[Any]:
    """Updates for the inputs but the model, of what ``SETTINGS_GIVEN`` made, as JSON, or ""."""
    values = read_kept(kept).get("values")
    if not isinstance(values, list) or len(values) != N_SETTINGS - 1:
        return [gr.skip()] * (N_SETTINGS - 1)
    steps, entropy, transductive, last_block, temperature, template, own = values
    believable = (
        _is_text(steps, MAX_TYPED),
        type(entropy) in (int, float) and 0 <= entropy <= MAX_ENTROPY,
        isinstance(transductive, bool),
        isinstance(last_block, bool),
        _is_text(temperature, MAX_TYPED),
        template in (AUTOMATIC, OWN, *template_sets()),
        _is_text(own, MAX_OWN_TEMPLATES),
    )
    return [v if fits else gr.skip() for v, fits in zip(values, believable, strict=True)]


def _is_text(value: Any, longest: int) -> bool:
    return isinstance(value, str) and len(value) <= longest


def chosen_steps(text: str | None) -> int | None:
    """The whole number typed, or None for the automatic one.

    Raises:
        InputError: it is none.
    """
    if not (text or "").strip():
        return None
    try:
        return int(text)
    except ValueError as error:
        raise InputError(
            f"The fine-tuning steps {quoted(text)} are no whole number: type one from 0 to 500, or "
            "leave it empty."
        ) from error


def chosen_temperature(text: str | None) -> float | None:
    """The number typed, or None for the automatic one.

    Raises:
        InputError: it is no number.
    """
    if not (text or "").strip():
        return None
    try:
        return float(text.replace(",", "."))
    except ValueError as error:
        raise InputError(
            f"The temperature {quoted(text)} is no number: type one above 0, or leave it empty."
        ) from error


def chosen_templates(template: str | None, own: str | None) -> tuple[str, ...] | None:
    """The templates meant by the choice, or None for the preset's."""
    if template == OWN:
        lines = tuple(line.strip() for line in (own or "").splitlines() if line.strip())
        if not lines:
            raise InputError("Your own prompt templates are empty: type one, or choose a set.")
        return lines
    return templates(template) if template else None


def fill_models(kept: str = "") -> list[Any]:
    """As the page loads, and anew: updates for the model's choices, its status and the button.

    Args:
        kept: what ``MODEL_GIVEN`` made before a reload, as JSON; "" chooses the default.
    """
    try:
        choices, default = clip_files.choices()
    except Exception as error:  # the page is of use without
        return [gr.skip(), notice(escaped(sentence(error)), "problem"), gr.skip()]
    before = read_kept(kept).get("model")
    chosen = before if before in [name for _, name in choices] else default
    return [gr.update(choices=choices, value=chosen), *model_status(chosen)]


@shown
def model_status(model: str | None) -> list[Any]:
    """Updates for the status and the button: where a model is, and what a download would cost."""
    found = clip_files.whereabouts(model)
    size = f" {clip_files.size(model)}" if clip_files.size(model) else ""
    button = gr.update(visible=found.downloadable, value=f"Download{size}", interactive=True)
    return [notice(escaped(found.sentence)), button]


@shown
def downloaded(model: str | None):
    """Download a model: updates for the status and the button, as it comes in."""
    busy = gr.update(interactive=False)
    try:
        for share in clip_files.download(model):
            yield [progress_bar(f"Downloading {model}", share), busy]
    except Exception as error:
        why = escaped(sentence(error))
        yield [notice(why, "problem"), gr.update(interactive=True)]
        raise gr.Error(why, print_exception=False) from error
