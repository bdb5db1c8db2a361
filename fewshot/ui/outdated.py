"""Whether the answers on the page are still those to what its inputs hold; a notice if not.

All in the browser: with each change what the inputs hold is compared to what they held when the
answers were asked for. So a change that is taken back makes the answers valid again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.events import Dependency

from fewshot.ui.changes import any_change
from fewshot.ui.classes_panel import MAX_SLOTS, ClassesPanel
from fewshot.ui.markup import QUIET, block, notice

_JS = Path(__file__).with_name("outdated.js").read_text("utf-8")
# What the inputs of the Classify tab hold; see there.
CLASSIFY_HELD = f"({_JS.replace('N_SLOTS', str(MAX_SLOTS))})"
# What a model and any inputs hold, an uploaded file by its path, in which is its content's hash;
# what is empty, or the first model, is as if it were not there yet: see outdated.js.
PLAINLY_HELD = """((model, ...others) => {
  if (model) globalThis.firstModel ??= model;
  const now = [model === globalThis.firstModel ? null : model, ...others];
  return JSON.stringify(now, (_, value) => value === "" ? null : value?.path ?? value);
})"""


@dataclass(frozen=True)
class Outdated:
    """What is said of a tab's answers, and what it goes by.

    Attributes:
        notice: that they are for other inputs; empty while they are valid.
        problem: why there are none, or a word after a Stop; it goes with the next change.
        asked: what the inputs held when a run began.
        answered: what they held for the answers that are shown, or "".
        held: JavaScript: from the values of the inputs to what they hold.
        button: what to press.
    """

    notice: gr.HTML
    problem: gr.HTML
    asked: gr.Textbox
    answered: gr.Textbox
    held: str
    button: str

    @property
    def both(self) -> list[gr.Textbox]:
        """What tells whether the answers are valid."""
        return [self.asked, self.answered]

    @property
    def asked_js(self) -> str:
        """From the values of the inputs to what they hold."""
        return f"(...now) => {self.held}(...now)"

    @property
    def notice_js(self) -> str:
        """From what the answers are for, and the values of the inputs, to the notice."""
        words = f"These answers are for what was given before: press <b>{self.button}</b>."
        said = json.dumps(notice(words, "problem"))
        return f"(answered, ...now) => answered && answered !== {self.held}(...now) ? {said} : ''"

    @property
    def problem_js(self) -> str:
        """From what was asked, the problem with it and the values of the inputs to the problem."""
        return f"(asked, problem, ...now) => asked === {self.held}(...now) ? problem : ''"


def build_outdated(name: str, button: str, held: str = PLAINLY_HELD) -> Outdated:
    """Lay out the notice and the problem, where the answers are.

    Args:
        name: beginning of the elements' ids.
        button: what is pressed for new answers.
        held: see :class:`Outdated`.
    """
    # Hidden fields, not States: they live as long as the inputs, in the browser.
    asked, answered = (gr.Textbox(visible=False) for _ in range(2))
    said = (
        block(elem_id=f"{name}{kind}", elem_classes=kind) for kind in ("outdated", "problem-said")
    )
    return Outdated(*said, asked, answered, held, button)


def inputs_of(
    preset: gr.Radio, queries: gr.Gallery, classes: ClassesPanel, settings: Sequence[Any]
) -> list[Any]:
    """What answers depend on, in the order in which ``outdated.js`` takes it."""
    slots = [classes.count, *classes.names, *classes.galleries, *classes.descriptions]
    return [classes.compact, preset, queries, *slots, *settings]


def keep_watch(
    outdated: Outdated, inputs: Sequence[Any], changed: gr.Textbox, events: Sequence[Dependency]
) -> None:
    """Compare anew with each change of an input, and the answers once each event has succeeded.

    Args:
        outdated: of :func:`build_outdated`.
        inputs: that ``outdated.held`` takes.
        changed: of :func:`fewshot.ui.changes.any_change`, of those inputs.
        events: that change what no input on the page tells of, or the answers.
    """
    any_change([changed], events).change(
        None, [outdated.answered, *inputs], outdated.notice, js=outdated.notice_js, **QUIET
    )
    # Not with the events: a run that was stopped ends with one, and with the word that it was.
    changed.change(
        None, [outdated.asked, outdated.problem, *inputs], outdated.problem,
        js=outdated.problem_js, **QUIET,
    )  # fmt: skip
