"""Brings back what an example, an import, *Remove* or *Clear all* took the place of or away.

Or a gallery's own cross, with all its pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from fewshot.types import InputError
from fewshot.ui import classes_panel, inputs
from fewshot.ui.errors import shown
from fewshot.ui.markup import QUIET, block

N_WITH = 3  # values that go with the queries: the preset, the known answers, what an example shows
MOST = 10  # that one can go back
_GONE = "The zip of the classes that were here is no longer kept: import it again."


@dataclass(frozen=True)
class Undo:
    """What there is to go back to.

    Attributes:
        before: what :func:`remembered` was given, the latest last.
        button: brings that back, and puts what was there instead behind all others, so that the
            next clicks come round to it again; hidden while there is nothing.
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
    return Undo(gr.State((), time_to_live=86_400), button)


def wire_clearing(remember: dict[str, Any]) -> None:
    """Let a gallery's cross take its pictures away only once what is there is kept.

    Args:
        remember: a listener that keeps it.
    """
    js = Path(__file__).with_name("keep_cleared.js").read_text("utf-8")
    block(js_on_load=js, elem_classes="unseen")
    kept = gr.Button(elem_id="keep-given", elem_classes="unseen").click(**remember)
    cleared = "globalThis.cleared = null"
    kept.success(None, js=f"() => {{ globalThis.cleared?.click(); {cleared}; }}", **QUIET)
    kept.failure(None, js=f"() => {{ {cleared}; }}", **QUIET)


def remembered(before: tuple[Sequence[Any], ...] | None, *values: Any) -> list[Any]:
    """Keep what is about to be replaced: updates for the outputs; with nothing there, as before.

    Args:
        before: what is kept already.
        values: of the classes panel's inputs, the queries, and whatever else goes with them.
    """
    if not _something(values):
        return [gr.skip(), gr.skip()]
    return [(*(before or ()), values)[-MOST:], gr.update(visible=True)]


def import_remembered(
    path: str, before: tuple[Sequence[Any], ...] | None, *values: Any
) -> list[Any]:
    """Import a zip, and keep what it replaces: updates for the outputs and the classes panel's.

    In one, so that what is kept was there before, and a refused zip replaces nothing.

    Args:
        path: of the zip.
        before, values: as in :func:`remembered`.
    """
    updates, accepted = classes_panel.imported(path)
    kept = remembered(before, *values) if accepted else [gr.skip(), gr.skip()]
    return [*kept, *updates]


@shown
def brought_back(before: tuple[Sequence[Any], ...] | None, *values: Any) -> list[Any]:
    """Updates for the undo's outputs, the classes panel's, the queries and what goes with them.

    Args:
        before, values: as in :func:`remembered`.
    """
    if not before:
        raise InputError("What was here before is no longer kept.")
    *earlier, last = before
    (path, as_list, count, *slots), queries = _parted(last)
    classes = classes_panel.filled(classes_panel.slots_of(count, slots))
    if as_list:  # the slots behind the list are what they were, too
        try:
            of_kind = _relisted(path)
        except InputError:
            gr.Warning(_GONE)
            unchanged = [gr.skip()] * (len(classes) + 1 + N_WITH)
            return [tuple(earlier), gr.update(visible=bool(earlier)), *unchanged]
        classes[: classes_panel.N_OF_KIND] = of_kind
    with_them = last[len(last) - N_WITH :]
    if _something(values):
        earlier.insert(0, values)
    button = gr.update(visible=bool(earlier))
    return [tuple(earlier), button, *classes, queries or [], *with_them]


def _relisted(path: str) -> list[Any]:
    """Updates for the first of the classes panel's outputs that show an imported zip as a list."""
    found = inputs.read_zip(classes_panel.still_kept(path))
    return classes_panel.listed(path, found)[: classes_panel.N_OF_KIND]


def _something(values: Sequence[Any]) -> bool:
    """Whether there is anything to lose."""
    (path, as_list, count, *slots), queries = _parted(values)
    filled = any(any(slot) for slot in classes_panel.slots_of(count, slots))
    return bool(queries or (as_list and path) or filled)


def _parted(values: Sequence[Any]) -> tuple[list[Any], inputs.Gallery]:
    """The values of the classes panel's inputs, and the queries."""
    return list(values[: -1 - N_WITH]), values[-1 - N_WITH]
