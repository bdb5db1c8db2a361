"""Takes the pictures that were asked about away in folders, one for each answer of a method."""

from __future__ import annotations

from typing import Any

import gradio as gr

from fewshot.images import MB
from fewshot.types import InputError
from fewshot.ui import files, inputs
from fewshot.ui.engine import TITLES
from fewshot.ui.errors import shown
from fewshot.ui.markup import block
from fewshot.ui.results import Results
from fewshot.ui.results_panel import still_valid
from fewshot.ui.zips import hand_out, zip_of_folders

# Asked about in one go: 500 photos of phones.
MAX_SORTED_BYTES = 2_000 * MB


def build_sorting() -> tuple[gr.Dropdown, gr.Button]:
    """Lay out the choice of a method and the button; the page shows them beside a table."""
    with gr.Row(elem_classes="tools", elem_id="sorting"):
        button = gr.Button("Save the pictures in folders", size="sm", elem_id="sort")
        block("by the answers of", elem_classes="hint")
        choices = [(title, name) for name, title in TITLES.items()]
        method = gr.Dropdown(
            choices, value="finetune", label="By the answers of", elem_id="sort-by",
            container=False, min_width=100,
        )  # fmt: skip
        block(
            "Which of them to trust? <em>Evaluate</em> measures it: save your classes as a zip and "
            "choose <em>My zip</em> there.",
            elem_classes="hint", elem_id="sort-hint",
        )  # fmt: skip
    return method, button


def wire_sorting(method: gr.Dropdown, button: gr.Button, given: list[Any]) -> None:
    """Let the button hand out the zip.

    Args:
        method, button: of :func:`build_sorting`.
        given: what :func:`sorted_zip` takes behind the method.
    """
    hand_out(button, sorted_zip, [method, *given], "sorted-zip")


@shown
def sorted_zip(
    method: str, results: Results | None, asked: str, answered: str, gallery: inputs.Gallery
) -> str:
    """The zip: its path.

    Args:
        method: whose answers count.
        results, asked, answered: as :func:`fewshot.ui.results_panel.still_valid` takes them.
        gallery: the queries.
    """
    found = still_valid(results, asked, answered).comparison.results.get(method)
    if found is None:
        raise InputError(f"{TITLES[method]} did not answer: sort by another method.")
    files.check_kept(inputs.paths(gallery))
    folders: dict[str, list[str]] = {name: [] for name in found.prediction.classes}
    for path, label in zip(inputs.paths(gallery), found.prediction.labels, strict=True):
        folders[label].append(path)
    return zip_of_folders("sorted.zip", folders.items(), most=MAX_SORTED_BYTES, anywhere=True)
