"""Pictures, names, what is said of them, and settings outlive a reload of the page.

Gradio reloads it by itself when a connection that was lost in the middle of a request comes back,
and phones do when they put a page away. The browser keeps what the inputs hold, for its tab alone;
the files still lie here, unless they were swept.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from fewshot.presets import PRESETS
from fewshot.types import InputError
from fewshot.ui import classes_panel, files, inputs
from fewshot.ui.classes_panel import Slot
from fewshot.ui.errors import shown
from fewshot.ui.markup import QUIET, counted, escaped

_JS = Path(__file__).with_name("reload.js").read_text("utf-8")
# What the inputs of the Classify tab hold; see there.
CLASSIFY_GIVEN = f"({_JS.replace('N_SLOTS', str(classes_panel.MAX_SLOTS))})"
# Until what was kept is back, an opening page must not keep what it opens with.
_KEEP = """(...now) => {
  if (!globalThis.reopened?.has("KEY")) return;
  try { sessionStorage.setItem("KEY", JSON.stringify(GIVEN(...now))); }
  catch { /* full, or forbidden: then nothing outlives a reload */ }
}"""
_KEPT = """() => {
  try { return [sessionStorage.getItem("KEY") ?? ""]; } catch { return [""]; }
}"""
_REOPENED = '() => { (globalThis.reopened ??= new Set()).add("KEY"); }'


def outlive_reload(
    page: gr.Blocks,
    key: str,
    held: Sequence[Any],
    changed: gr.Textbox,
    given: str,
    again: Callable[[str], list[Any]],
    outputs: Sequence[Any],
) -> None:
    """Keep what inputs hold in the browser, and put it back as the page opens anew.

    Args:
        page: whose loading puts it back.
        key: what it is kept under, a word.
        held: the inputs of which something is kept.
        changed: of :func:`fewshot.ui.changes.any_change`, of those inputs at least.
        given: JavaScript: from their values to what is kept of them.
        again: handler from that as JSON, or "", to updates for the outputs.
        outputs: what it is put back into.
    """

    def of_key(js: str) -> str:
        return js.replace("KEY", key)

    keep = of_key(_KEEP).replace("GIVEN", given)
    changed.change(None, held, None, js=keep, **QUIET)
    kept = gr.Textbox(visible=False)
    put_back = page.load(again, kept, outputs, js=of_key(_KEPT), **QUIET)
    put_back.then(None, js=of_key(_REOPENED), api_visibility="private")


def read_kept(kept: str) -> dict[str, Any]:
    """What was kept; nothing where that is no JSON object, as only a stranger's hand makes it."""
    try:
        values = json.loads(kept or "{}")
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}


def still_here(paths: Any) -> list[str]:
    """Those paths whose files still lie among the visitors' files."""
    return [path for path in paths if isinstance(path, str) and files.is_kept(path)]


def tell_of_gone(count: int) -> None:
    """Say that pictures are not back."""
    if count:
        are = "is" if count == 1 else "are"
        gr.Warning(f"{counted(count, 'picture')} {are} no longer kept here: add what is missing.")


@shown
def classify_again(kept: str) -> list[Any]:
    """Updates for the classes panel's outputs, the queries and the preset.

    Args:
        kept: what ``reload.js`` returned, as JSON, or "".
    """
    match read_kept(kept):
        case {"slots": [*columns], "queries": [*asked], "zip": str(zipped), "preset": str(preset)}:
            pass
        case _:
            return [gr.skip()] * (classes_panel.N_OUTPUTS + 2)
    slots, n_gone = [], 0
    for column in columns[: classes_panel.MAX_SLOTS]:
        match column:
            case [str(name), [*given], str(description)]:
                slots.append(Slot(name, still_here(given), description))
                n_gone += len(given) - len(slots[-1].pictures)
    classes = classes_panel.filled(slots)
    if zipped:
        classes[: classes_panel.N_OF_KIND] = _listed_again(zipped)
    queries = still_here(asked)
    tell_of_gone(n_gone + len(asked) - len(queries))
    return [*classes, queries, preset if preset in PRESETS else gr.skip()]


def _listed_again(zipped: str) -> list[Any]:
    """Updates for the first of the classes panel's outputs; the slots where the zip is gone."""
    path = str(Path(get_upload_folder(), zipped))
    try:
        classes_panel.still_kept(path if files.is_kept(path) else "")
        return classes_panel.listed(path, inputs.read_zip(path))[: classes_panel.N_OF_KIND]
    except InputError as error:
        gr.Warning(escaped(str(error)))
        return classes_panel.slots_shown()
