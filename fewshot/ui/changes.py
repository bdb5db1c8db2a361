"""Listening to many inputs at once, told once of what changes together.

A listener to all of them, called at each change of each, has Gradio's browser read every one of
them every time: thirty that an example fills came to 6,700 readings.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr
from gradio.events import Dependency

from fewshot.ui.markup import QUIET

# All of the changes that come within this time have the same answer, so the field takes it once.
_TOGETHER = """() => globalThis.changedTogether ??= new Promise((resolve) => setTimeout(() => {
  globalThis.changedTogether = null;
  resolve(String(performance.now()));
}, 30))"""


def any_change(inputs: Sequence[Any], events: Sequence[Dependency] = ()) -> gr.Textbox:
    """A hidden field that changes a moment after some of the inputs did; to be listened to.

    Args:
        inputs: components that tell of their changes.
        events: that change what no component tells of, or many galleries, of which Gradio tells
            before all are what they will be.
    """
    changed = gr.Textbox(visible=False)
    told = {"fn": None, "outputs": changed, "js": _TOGETHER, **QUIET}
    # A listener for each: one that has many triggers reads all of them whenever it is called.
    for one in inputs:
        one.change(**told)
    for event in events:
        event.success(**told)
    return changed
