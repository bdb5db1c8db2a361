"""Asked what the answers on the page rest on: covers parts of the chosen query, and tells."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import Any

import gradio as gr

from fewshot.types import Picture, SupportSet
from fewshot.ui import classes_panel, inputs
from fewshot.ui.busy import STOPPED, RunButtons, legible, progress_bar, until_stopped
from fewshot.ui.engine import Step, look_in_steps
from fewshot.ui.errors import sentence, shown
from fewshot.ui.looks import look_html
from fewshot.ui.markup import escaped, notice
from fewshot.ui.results import Results
from fewshot.ui.results_panel import still_valid
from fewshot.ui.settings_panel import N_SETTINGS, choices_of


def given_in_steps(
    gallery: inputs.Gallery, values: Sequence[Any]
) -> Generator[Step, None, tuple[SupportSet, list[Picture]]]:
    """The support set and the queries that the page holds, told of as they are read.

    Args:
        gallery: the queries.
        values: of the classes panel.

    Raises:
        InputError: as :func:`fewshot.ui.classes_panel.reading_support`, or a query cannot be read.
    """
    support = yield from classes_panel.reading_support(values)
    queries = yield from inputs.in_steps(inputs.reading_queries(gallery))
    return support, queries


@shown
def run_look(
    buttons: RunButtons,
    stopping: dict[str, bool],
    asked: str,
    answered: str,
    results: Results | None,
    row: int,
    preset: str,
    gallery: inputs.Gallery,
    *values: Any,
) -> Iterator[list[Any]]:
    """Look at the query whose cards are shown: updates for buttons, progress, problem and looks.

    Args:
        buttons: that tell of it.
        stopping: "asked" is set there to end it.
        asked, answered, results: as :func:`fewshot.ui.results_panel.still_valid` takes them.
        row: number of the query.
        preset: a name in PRESETS.
        gallery: the queries.
        values: of the settings and of the classes panel.
    """
    stopping["asked"] = False
    try:
        kept = still_valid(results, asked, answered)
        bar = progress_bar(inputs.READING, 0.0)
        yield [*buttons.begun(inputs.READING), bar, "", gr.skip()]
        choices = choices_of(values[:N_SETTINGS])
        steps = inputs.reading_first(
            given_in_steps(gallery, values[N_SETTINGS:]),
            lambda given: look_in_steps(*given, row, preset, choices),
        )
        for step in legible(until_stopped(steps, stopping)):
            if isinstance(step, Step):
                bar = progress_bar(step.what, step.share)
                yield [*buttons.busy(step), bar, gr.skip(), gr.skip()]
                continue
            (_, queries), found = step
            answers = kept.comparison.results
            looks = {
                name: look_html(look, queries[row], answers[name].prediction.labels[row])
                for name, look in found.items()
                if name in answers
            }
            yield [*buttons.idle(), "", "", (row, looks)]
            return
        yield [*buttons.idle(), "", STOPPED, gr.skip()]
    except Exception as error:
        why = escaped(sentence(error))
        yield [*buttons.idle(), "", notice(why, "problem"), gr.skip()]
        raise gr.Error(why, print_exception=False) from error
