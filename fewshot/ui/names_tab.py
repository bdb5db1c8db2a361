"""The Names alone tab: a pasted list of names, and pictures that CLIP finds names for."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import gradio as gr
import numpy as np

from fewshot.prompts import template_sets, templates
from fewshot.types import SupportSet
from fewshot.ui import clip_files, inputs
from fewshot.ui.arrivals import UPLOADS_OVER
from fewshot.ui.busy import (
    STOPPED,
    RunButtons,
    arrived_js,
    ask_to_stop,
    legible,
    run_and_stop,
    stop_flag,
    until_stopped,
)
from fewshot.ui.changes import any_change
from fewshot.ui.engine import Choices, Step, compare_in_steps
from fewshot.ui.errors import sentence, shown
from fewshot.ui.markup import QUIET, block, escaped, notice
from fewshot.ui.name_list import MAX_CHARACTERS, MAX_NAMES, read_names
from fewshot.ui.names_results import names_html, summary
from fewshot.ui.outdated import build_outdated, keep_watch
from fewshot.ui.pad import check_none_unsent, drawing_pad, unsent_js, wire_taking_back
from fewshot.ui.pictures import picture_gallery
from fewshot.ui.reload import outlive_reload, read_kept, still_here, tell_of_gone
from fewshot.ui.results import results_of
from fewshot.ui.settings_panel import SettingsPanel, model_status

MAX_PICTURES = 50  # each is shown with its bars
WELCOME = """
<section class="welcome">
  <h2>No pictures to learn from at all</h2>
  <p>CLIP reads names. Paste some, add a picture, and see which of the names it would call it by;
  how similar picture and name are is shown beside every share.</p>
</section>
"""
_WHERE = "under Settings in the Classify tab"
_READING = "Reading names and pictures"


# What is given there, for after a reload; see fewshot.ui.reload.
_GIVEN = """((names, template, queries) => (
  { names: names ?? "", template, queries: (queries ?? []).map(({ image }) => image?.path) }
))"""


def build_names_tab(page: gr.Blocks, settings: SettingsPanel) -> None:
    """Lay out the tab and wire it.

    Args:
        page: whose loading puts back what was given before a reload.
        settings: of the Classify tab, where the CLIP model is chosen and its pace is told.
    """
    with gr.Row(elem_classes="halves"):
        with gr.Column(scale=5, min_width=340, elem_classes="given"):
            names = gr.Textbox(
                label=f"Names, one a line, up to {MAX_NAMES:,}", lines=8, max_lines=16,
                placeholder="heart\nstar\ncheck mark", max_length=MAX_CHARACTERS,
                elem_id="names",
            )  # fmt: skip
            template = gr.Dropdown(
                [(f"{key}: “{texts[0]}” …", key) for key, texts in template_sets().items()],
                value="photo", label="What the pictures are", elem_id="names-template",
                info="The names are put into these prompts, or into one you type, {} for the name.",
                allow_custom_value=True,
            )  # fmt: skip
            block("Pictures to find names for", elem_classes="overline")
            queries = picture_gallery("Pictures to find names for", elem_id="names-queries")
            pad = drawing_pad("the picture to find a name for", "pad-names", queries)
            progress = block(elem_id="names-progress", elem_classes="while-busy")
            with gr.Row():
                ask, stop = run_and_stop("Find names", "find-names", "names-stop")
            block(
                f"The CLIP model is the one chosen {_WHERE}. A large one reads a thousand new "
                "names in minutes, and the same again in no time.",
                elem_classes="hint",
            )
        with gr.Column(scale=7, min_width=340, elem_classes="found"):
            outdated = build_outdated("names-", "Find names")
            message = block(WELCOME, elem_id="names-message")
            found = block(elem_id="names-results")
    held = [settings.model, names, template, queries]
    unsent = gr.Textbox(visible=False)
    stopping = stop_flag()
    buttons = RunButtons(stop, progress, [ask])
    ask.click(None, None, buttons.outputs, js=buttons.waiting_js, **QUIET)
    ask.click(**UPLOADS_OVER)
    ask.click(**buttons.sent)
    ask.click(None, None, unsent, js=unsent_js("#pad-names"), **QUIET)
    ask.click(None, held, outdated.asked, js=outdated.asked_js, **QUIET)
    run = ask.click(
        partial(find_names, buttons), [stopping, outdated.asked, unsent, *held],
        [*buttons.outputs, outdated.answered, outdated.problem, message, found],
        concurrency_id="engine", concurrency_limit=2, trigger_mode="multiple", **QUIET,
    )  # fmt: skip
    run.failure(None, None, buttons.outputs, js=buttons.idle_js, **QUIET)
    run.success(None, outdated.both, None, js=arrived_js("#names-message"), **QUIET)
    changed = any_change([*held, pad])
    keep_watch(outdated, held, changed, [run])
    wire_taking_back([pad], outdated.problem)
    run.success(model_status, settings.model, [settings.status, settings.download], **QUIET)
    stop.click(ask_to_stop, stopping, stop, queue=False, **QUIET)
    given = [names, template, queries]
    outlive_reload(page, "names", given, changed, _GIVEN, given_again, given)


@shown
def given_again(kept: str) -> list[Any]:
    """Updates for the names, the template and the pictures, of what was kept as JSON, or ""."""
    match read_kept(kept):
        case {"names": str(names), "template": str(template), "queries": [*asked]}:
            queries = still_here(asked)
            tell_of_gone(len(asked) - len(queries))
            return [names[:MAX_CHARACTERS], template, queries]
    return [gr.skip()] * 3


@shown
def find_names(
    buttons: RunButtons,
    stopping: dict[str, bool],
    asked: str,
    unsent: str,
    model: str | None,
    text: str | None,
    template: str,
    gallery: inputs.Gallery,
) -> Iterator[list[Any]]:
    """Ask CLIP for the names of pictures: updates for what the click on *Find names* names.

    Args:
        buttons: that tell of it.
        stopping: "asked" is set there to end it.
        asked: what the inputs hold, for :mod:`fewshot.ui.outdated`.
        unsent: what the pad is for where it holds a drawing which was not added, or nothing.
        model: which CLIP model.
        text: the pasted list.
        template: a name in ``template_sets()``, or a template.
        gallery: the pictures.
    """
    stopping["asked"] = False
    try:
        yield [*buttons.begun(_READING), gr.skip(), "", gr.skip(), gr.skip()]
        check_none_unsent(unsent)
        listed = read_names(text)
        reading = inputs.reading_queries(gallery, "below the names", MAX_PICTURES)
        support = SupportSet(listed.names, (), np.zeros(0, np.int64))
        prompts = templates(template) if template in template_sets() else (template or "",)
        choices = Choices(templates=prompts, model=model or None)
        steps = inputs.reading_first(
            inputs.in_steps(reading),
            lambda pictures: compare_in_steps(support, pictures, "photos", choices, ("clip",)),
        )
        for step in legible(until_stopped(steps, stopping)):
            if not isinstance(step, Step):
                pictures, full = step
                clip_files.remember_pace(choices.model, full)
                note = clip_files.cautioned(full.cautions, _WHERE, support.classes)
                results = results_of(full, support, pictures, {}, note)
                said = notice(escaped(summary(full, listed)))
                yield [*buttons.idle(), asked, "", said, names_html(results)]
                return
            yield [*buttons.busy(Step(step.share, _READING)), *[gr.skip()] * 4]
        yield [*buttons.idle(), gr.skip(), STOPPED, gr.skip(), gr.skip()]
    except Exception as error:
        why = escaped(sentence(error))
        yield [*buttons.idle(), gr.skip(), notice(why, "problem"), gr.skip(), gr.skip()]
        raise gr.Error(why, print_exception=False) from error
