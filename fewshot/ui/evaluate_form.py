"""The left-hand side of the Evaluate tab: the data set, the methods, the numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from fewshot.presets import PRESETS
from fewshot.ui.busy import download_asked_js, download_failed_js, progress_bar
from fewshot.ui.errors import sentence, shown
from fewshot.ui.evaluate_data import (
    INVENTED,
    OMNIGLOT,
    OMNIGLOT_SIZE,
    OWN_ZIP,
    SOURCES,
    download_omniglot,
    omniglot_is_here,
)
from fewshot.ui.evaluate_request import FIRST_METHODS, LIMITS, METHOD_TITLES, SWEEPS
from fewshot.ui.markup import QUIET, block, escaped, notice
from fewshot.ui.reload import read_kept, still_here
from fewshot.ui.zip_note import wire_zip_note

# JavaScript, of what outlives a reload: the values of all inputs, of a zip its path.
FORM_GIVEN = "((...values) => ({ values: values.map((value) => value?.path ?? value) }))"


@dataclass(frozen=True)
class EvaluateForm:
    """The form's inputs, named and ordered as :class:`Request` has them, but for the CLIP model."""

    source: gr.Radio
    zip_path: gr.File
    methods: gr.CheckboxGroup
    preset: gr.Radio
    against: gr.Dropdown
    ways: gr.Number
    shots: gr.Number
    queries: gr.Number
    episodes: gr.Number
    seed: gr.Number
    sweep: gr.Radio
    within_group: gr.Checkbox

    @property
    def names(self) -> list[str]:
        """Of the inputs."""
        return list(self.__dataclass_fields__)

    @property
    def inputs(self) -> list[Any]:
        """The components, in the same order."""
        return [getattr(self, name) for name in self.names]


def build_evaluate_form() -> EvaluateForm:
    """Lay out the form and wire what concerns it alone."""
    source, zip_path, held = _data_inputs()
    methods = gr.CheckboxGroup(
        [(title, name) for name, title in METHOD_TITLES.items()], value=FIRST_METHODS,
        label="Methods", elem_id="evaluate-methods",
    )  # fmt: skip
    preset = gr.Radio(
        [(p.title, p.name) for p in PRESETS.values()], value="drawings",
        label="Kind of pictures", info="Which encoders look at them.", elem_id="evaluate-preset",
    )  # fmt: skip
    with gr.Row(elem_classes="numbers"):
        ways = _number("ways", 5, "classes each")
        shots = _number("shots", 1, "shown of each")
        queries = _number("queries", 5, "asked of each")
    sweep = gr.Radio(
        [(title, name) for name, title in SWEEPS.items()], value="", label="Sweep",
        info="Several numbers in place of one: 5 to 100 ways or 1 to 10 shots, as the data allow.",
        elem_id="evaluate-sweep",
    )  # fmt: skip
    with gr.Row(elem_classes="numbers"):
        episodes = _number("episodes", 200, f"up to {LIMITS['episodes'][1]:,}")
        seed = _number("seed", 0, "of the draw")
        against = gr.Dropdown(
            [("None", ""), *((title, name) for name, title in METHOD_TITLES.items())],
            value="prototype", label="Compare with", info="on the same episodes", min_width=90,
            elem_id="evaluate-against",
        )  # fmt: skip
    within = gr.Checkbox(
        False, label="Within one alphabet", visible=False, elem_id="evaluate-within",
        info="All classes of an episode are of one alphabet, which is harder.",
    )  # fmt: skip
    wire_zip_note(zip_path, preset, held)
    source.change(lambda chosen: gr.update(visible=chosen == OMNIGLOT), source, within, **QUIET)
    sweep.change(
        lambda over: [gr.update(interactive=over != name) for name in ("ways", "shots")],
        sweep, [ways, shots], **QUIET,
    )  # fmt: skip
    return EvaluateForm(
        source, zip_path, methods, preset, against, ways, shots, queries, episodes, seed, sweep,
        within,
    )  # fmt: skip


@shown
def form_again(kept: str) -> list[Any]:
    """Updates for the form's inputs, of what ``FORM_GIVEN`` made, as JSON, or ""."""
    names = list(EvaluateForm.__dataclass_fields__)
    values = read_kept(kept).get("values")
    if not isinstance(values, list) or len(values) != len(names):
        return [gr.skip()] * len(names)
    given = dict(zip(names, values, strict=True))
    zip_path, methods, titles = given["zip_path"], given["methods"], tuple(METHOD_TITLES)
    if given["source"] == OWN_ZIP and zip_path and not still_here([zip_path]):
        gr.Warning("Your zip is no longer kept here: add it again.")
    believable = {
        "source": given["source"] in tuple(SOURCES),
        "zip_path": bool(still_here([zip_path])),
        "methods": isinstance(methods, list) and all(name in titles for name in methods),
        "preset": given["preset"] in tuple(PRESETS),
        "against": given["against"] in ("", *titles),
        **{name: _is_number(given[name]) for name in LIMITS},
        "sweep": given["sweep"] in tuple(SWEEPS),
        "within_group": isinstance(given["within_group"], bool),
    }
    return [given[name] if believable[name] else gr.skip() for name in names]


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < 2**53  # not NaN, which JSON would not take


def _number(name: str, value: int, info: str) -> gr.Number:
    # Its limits are told by the request: Gradio's own would end the run before it can.
    return gr.Number(
        value, label=name.capitalize(), info=info, precision=None, min_width=90,
        elem_id=f"evaluate-{name}",
    )  # fmt: skip


def _data_inputs() -> tuple[gr.Radio, gr.File, gr.HTML]:
    """The choice of a data set, with what each needs, wired; and where to say what a zip holds."""
    source = gr.Radio(
        [(title, name) for name, title in SOURCES.items()], value=INVENTED, label="Data set",
        elem_id="evaluate-source",
    )  # fmt: skip
    with gr.Column(visible=False) as upload:
        zip_file = gr.File(
            label="Your zip", file_types=[".zip"], height=150,
            elem_id="evaluate-zip",
        )  # fmt: skip
        block(
            "One folder of pictures per class; up to 2,000 pictures and 300 MB unpacked.",
            elem_classes="hint",
        )
        held = block(elem_id="evaluate-zip-holds")
    with gr.Column(visible=False) as fetch:
        status = block(elem_id="omniglot-status")
        download = gr.Button(
            f"Download ({OMNIGLOT_SIZE})", size="sm", elem_id="omniglot-download"
        )  # fmt: skip
    source.change(
        lambda chosen: [
            gr.update(visible=chosen == OWN_ZIP), gr.update(visible=chosen == OMNIGLOT),
            *omniglot_status(),
        ],
        source, [upload, fetch, status, download], **QUIET,
    )  # fmt: skip
    told = [status, download]
    download.click(None, None, told, js=download_asked_js(), **QUIET)
    fetching = download.click(
        fetched, None, told, concurrency_id="download", concurrency_limit=1, **QUIET
    )
    fetching.failure(None, status, told, js=download_failed_js(), **QUIET)
    return source, zip_file, held


def omniglot_status() -> list[Any]:
    """Updates: where Omniglot is, and the button to fetch it."""
    if omniglot_is_here():
        return [notice("Omniglot is on this machine."), gr.update(visible=False)]
    return [
        notice("Omniglot (MIT licence) is not on this machine."),
        gr.update(visible=True, interactive=True),
    ]


@shown
def fetched() -> Iterator[list[Any]]:
    """Download Omniglot: updates for its status and its button."""
    yield [progress_bar("Downloading"), gr.update(interactive=False)]
    try:
        download_omniglot()
    except Exception as error:  # whatever it is, the button is to be had again
        yield [notice(escaped(sentence(error)), "problem"), gr.update(interactive=True)]
        return
    yield omniglot_status()
