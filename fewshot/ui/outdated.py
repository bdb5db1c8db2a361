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

from fewshot.ui.classes_panel import MAX_SLOTS, ClassesPanel
from fewshot.ui.markup import block, notice

_JS = Path(__file__).with_name("outdated.js").read_text("utf-8")
_HELD = f"({_JS.replace('N_SLOTS', str(MAX_SLOTS))})"
_NOTICE = json.dumps(
    notice("These answers are for what was shown before: press <b>Classify</b>.", "problem")
)
# From the values of inputs_of to what they hold, and from these and what was held to the notice.
ASKED_JS = f"(...now) => {_HELD}(...now)"
_NOTICE_JS = f"(answered, ...now) => answered && answered !== {_HELD}(...now) ? {_NOTICE} : ''"
_QUIET = {"api_visibility": "private", "show_progress": "hidden"}


@dataclass(frozen=True)
class Outdated:
    """The notice and what it goes by.

    Attributes:
        notice: empty while the answers are valid.
        asked: what the inputs held when a run began.
        answered: what they held for the answers that are shown, or "".
    """

    notice: gr.HTML
    asked: gr.Textbox
    answered: gr.Textbox


def build_outdated() -> Outdated:
    """Lay out the notice, where the answers are."""
    # Hidden fields, not States: they live as long as the inputs, in the browser.
    asked, answered = (gr.Textbox(visible=False) for _ in range(2))
    return Outdated(block(elem_id="outdated"), asked, answered)


def inputs_of(
    preset: gr.Radio, queries: gr.Gallery, classes: ClassesPanel, settings: Sequence[Any]
) -> list[Any]:
    """What answers depend on, in the order in which ``outdated.js`` takes it."""
    slots = [classes.count, *classes.names, *classes.galleries, *classes.descriptions]
    return [classes.compact, preset, queries, *slots, *settings]


def keep_watch(outdated: Outdated, inputs: Sequence[Any], events: Sequence[Any]) -> None:
    """Compare anew with each change of an input, and once each event has succeeded.

    Args:
        outdated: of :func:`build_outdated`.
        inputs: of :func:`inputs_of`.
        events: that change what no input on the page tells of, or the answers.
    """
    compare = {
        "fn": None,
        "inputs": [outdated.answered, *inputs],
        "outputs": outdated.notice,
        "js": _NOTICE_JS,
    }
    gr.on([one.change for one in inputs], **compare, **_QUIET)
    for event in events:
        event.success(**compare, **_QUIET)
