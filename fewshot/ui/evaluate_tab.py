"""The Evaluate tab: how often methods are right, over episodes of a data set."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Any

import gradio as gr

from fewshot.ui import busy
from fewshot.ui.arrivals import UPLOADS_OVER
from fewshot.ui.busy import (
    STOPPED,
    RunButtons,
    arrived_js,
    ask_to_stop,
    run_and_stop,
    stop_flag,
)
from fewshot.ui.changes import any_change
from fewshot.ui.engine import Step
from fewshot.ui.errors import sentence, shown
from fewshot.ui.evaluate_data import OMNIGLOT, OWN_ZIP, read_ahead
from fewshot.ui.evaluate_engine import evaluate_in_steps
from fewshot.ui.evaluate_form import FORM_GIVEN, build_evaluate_form, form_again
from fewshot.ui.evaluate_panel import (
    N_OUTPUTS,
    build_evaluate_panel,
    finished,
    plots_again,
    so_far,
)
from fewshot.ui.evaluate_report import Report
from fewshot.ui.evaluate_request import Request
from fewshot.ui.markup import QUIET, block, escaped, notice
from fewshot.ui.outdated import PLAINLY_HELD, build_outdated, keep_watch
from fewshot.ui.reload import outlive_reload
from fewshot.ui.settings_panel import SettingsPanel

_ON_ZERO_GPU = bool(os.environ.get("SPACES_ZERO_GPU"))
# Sent to the browser no oftener: a run has hundreds of portions.
SECONDS_BETWEEN = 0.4
# ZeroGPU ends a run after two minutes: this one is to end before, with its figures.
MOST_SECONDS = 100 if _ON_ZERO_GPU else busy.MOST_SECONDS
_TOO_LONG = (
    f"A run ends after {MOST_SECONDS / 60:.2g} minutes, so that others get their turn: ask for "
    "fewer episodes or methods, or evaluate from the command line."
)
# Data that reach a Gradio plot while it is still being set up go to a view that is thrown away, and
# the plot stays as it began: so the last ones are sent twice.
PLOTS_AGAIN_AFTER = 0.6
# What the inputs hold, in their order: a zip where it is the data, the methods in whatever order
# they were ticked.
EVALUATE_HELD = f"""((model, source, zip, methods, ...more) => {PLAINLY_HELD}(
  model, source, source === "{OWN_ZIP}" ? zip : null, [...(methods ?? [])].sort(), ...more
))"""


def build_evaluate_tab(page: gr.Blocks, settings: SettingsPanel) -> None:
    """Lay out the tab and wire it.

    Args:
        page: whose loading puts back what was given before a reload.
        settings: of the Classify tab, where the CLIP model is chosen.
    """
    with gr.Row(elem_classes="halves"):
        with gr.Column(scale=5, min_width=340, elem_classes="given", elem_id="evaluate-given"):
            form = build_evaluate_form()
            block(
                "The CLIP model is the one chosen under Settings in the Classify tab; all other "
                "settings are the defaults. Nobody else is shown your pictures.",
                elem_classes="hint",
            )
            with gr.Column(elem_id="evaluate-actions"):
                progress = block(elem_id="evaluate-progress", elem_classes="while-busy")
                with gr.Row():
                    run, stop = run_and_stop("Evaluate", "evaluate", "evaluate-stop")
        with gr.Column(scale=7, min_width=340, elem_classes="found", elem_id="evaluated"):
            outdated = build_outdated("evaluate-", "Evaluate", EVALUATE_HELD)
            panel = build_evaluate_panel()
    stopping = stop_flag()
    buttons = RunButtons(stop, progress, [run])
    held = [settings.model, *form.inputs]
    run.click(None, None, buttons.outputs, js=buttons.waiting_js, **QUIET)
    run.click(**UPLOADS_OVER)  # or a zip on its way would be none yet
    run.click(None, held, outdated.asked, js=outdated.asked_js, **QUIET)
    runs = run.click(
        partial(run_evaluation, buttons, ("model", *form.names)),
        [outdated.asked, stopping, *held],
        [
            *buttons.outputs, outdated.answered, outdated.problem, outdated.notice, *panel.outputs,
        ],
        # Apart from "engine": who classifies does not wait for who evaluates.
        concurrency_id="evaluate", concurrency_limit=2, **QUIET,
    )  # fmt: skip
    runs.failure(None, None, buttons.outputs, js=buttons.idle_js, **QUIET)
    runs.success(None, outdated.both, None, js=arrived_js("#evaluated"), **QUIET)
    changed = any_change(held)
    keep_watch(outdated, held, changed, [runs])
    outlive_reload(page, "evaluate", form.inputs, changed, FORM_GIVEN, form_again, form.inputs)
    stop.click(ask_to_stop, stopping, stop, queue=False, **QUIET)


@shown
def run_evaluation(
    buttons: RunButtons, names: Sequence[str], asked: str, stopping: dict[str, bool], *values: Any
) -> Iterator[list[Any]]:
    """Evaluate: updates for buttons, ``answered``, problem, notice and panel, as episodes go by.

    Args:
        buttons: that tell of it.
        names: of the values, as in :class:`Request`.
        asked: what the inputs hold, for :mod:`fewshot.ui.outdated`.
        stopping: "asked" is set there to end it.
        values: what the page's inputs hold.
    """
    same = [gr.skip()] * (1 + N_OUTPUTS)  # the notice, too
    stopping["asked"] = False
    report: Report | None = None
    try:
        yield [*buttons.begun("Reading the pictures"), gr.skip(), "", *same]
        request = request_of(dict(zip(names, values, strict=True)))
        told, what, began, late = 0.0, "", None, False
        # On ZeroGPU another process evaluates, which would not find the zip read.
        ahead = () if _ON_ZERO_GPU else read_ahead(request.source, request.zip_path)
        for step in chain(ahead, evaluate_in_steps(request)):
            if isinstance(step, Report):
                report = step
            began = time.monotonic() if began is None else began
            late = time.monotonic() > began + MOST_SECONDS
            if stopping["asked"] or late:
                break
            now = Step(step.share, "Evaluating") if isinstance(step, Report) else step
            if now.what == what and time.monotonic() - told < SECONDS_BETWEEN:
                continue
            told, what = time.monotonic(), now.what
            news = [gr.skip(), gr.skip(), *same]
            if isinstance(step, Report):
                # What was said of the figures before is not true of these.
                news = [asked, gr.skip(), "", *so_far(step, request.sweep)]
            yield [*buttons.busy(now), *news]
        if report is None:
            said = STOPPED if stopping["asked"] else notice(_TOO_LONG, "problem")
            yield [*buttons.idle(), gr.skip(), said, *same]
            return
        still = [gr.skip()] * len(buttons.outputs)
        cut = late and not (stopping["asked"] or report.complete)
        said = notice(_TOO_LONG) if cut else gr.skip()
        yield [*still, asked, said, "", *finished(report, request.sweep)]
        time.sleep(PLOTS_AGAIN_AFTER)
        # Not before the end: Gradio passes over a click while the last run goes on.
        yield [*buttons.idle(), *[gr.skip()] * 3, *plots_again(report, request.sweep)]
    except Exception as error:
        # First the buttons, and the sentence where it stays; then the toast, which goes.
        why = escaped(sentence(error))
        so = [gr.skip(), notice(why, "problem"), *same]
        if report is not None:  # the figures of the episodes before it
            so = [asked, notice(why, "problem"), "", *finished(report, request.sweep)]
        yield [*buttons.idle(), *so]
        raise gr.Error(why, print_exception=False) from error


def request_of(values: dict[str, Any]) -> Request:
    """The request that the page's inputs come to.

    Raises:
        InputError: as :class:`Request`.
    """
    return Request(
        **values
        | {
            "methods": tuple(values["methods"] or ()),
            "model": values["model"] or None,
            "against": values["against"] or None,
            "sweep": values["sweep"] or "",
            # Hidden, but perhaps still ticked, for any other data.
            "within_group": bool(values["within_group"]) and values["source"] == OMNIGLOT,
        }
    )
