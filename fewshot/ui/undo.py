"""Brings back what an example, an import or *Clear all* took the place of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from fewshot.types import InputError
from fewshot.ui import classes_panel, inputs
from fewshot.ui.errors import shown

N_WITH = 3  # values that go with the queries: the preset, the known answers, what an example shows


@dataclass(frozen=True)
class Undo:
    """What there is to go back to.

    Attributes:
        before: what :func:`remembered` was given, or None.
        button: brings it back; hidden while there is nothing.
    """

    before: gr.State
    button: gr.Button

    @property
    def outputs(self) -> list[Any]:
        """What :func:`remembered` returns updates for."""
        return [self.before, self.button]


def build_undo() -> Undo:
    """Lay out the button."""
    button = gr.Button("Bring back what was here", size="sm", visible=False, elem_id="bring-back")
    return Undo(gr.State(None, time_to_live=86_400), button)


def remembered(*values: Any) -> list[Any]:
    """Keep what is about to be replaced: updates for the outputs; with nothing there, as before.

    Args:
        values: of the classes panel's inputs, the queries, and whatever else goes with them.
    """
    (path, as_list, count, *slots), queries = _parted(values)
    filled = any(any(slot) for slot in classes_panel.slots_of(count, slots))
    if not (queries or (as_list and path) or filled):
        return [gr.skip(), gr.skip()]
    return [values, gr.update(visible=True)]


@shown
def brought_back(before: Sequence[Any] | None) -> list[Any]:
    """Updates for the undo's outputs, the classes panel's, the queries and what goes with them."""
    if before is None:
        raise InputError("What was here before is no longer kept.")
    (path, as_list, count, *slots), queries = _parted(before)
    if as_list:
        classes = classes_panel.listed(path, inputs.read_zip(path))
    else:
        classes = classes_panel.filled(classes_panel.slots_of(count, slots))
    with_them = before[len(before) - N_WITH :]
    return [None, gr.update(visible=False), *classes, queries or [], *with_them]


def _parted(values: Sequence[Any]) -> tuple[list[Any], inputs.Gallery]:
    """The values of the classes panel's inputs, and the queries."""
    return list(values[: -1 - N_WITH]), values[-1 - N_WITH]
