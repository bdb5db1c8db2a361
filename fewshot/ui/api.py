"""The public endpoint: the same engine and the same JSON as on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from fewshot import images
from fewshot.presets import get_preset
from fewshot.remarks import with_photos_told
from fewshot.report import as_json, conditions
from fewshot.types import InputError
from fewshot.ui import inputs
from fewshot.ui.busy import until_stopped
from fewshot.ui.engine import TITLES, Choices, compare_in_steps, settings_of
from fewshot.ui.errors import told


def build_api() -> None:
    """Add ``/classify`` to the page being built."""
    gr.api(
        classify,
        api_name="classify",
        api_description="Classify pictures from a zip of labelled ones, by every method.",
        concurrency_id="engine",
        concurrency_limit=2,
    )


@told
def classify(support: gr.FileData, queries: list[gr.FileData], preset: str = "drawings") -> dict:
    """Classify pictures by every method.

    Gradio checks no types here, so what arrives may be anything.

    Args:
        support: an uploaded zip with one folder of pictures per class.
        queries: uploaded pictures.
        preset: "drawings" or "photos".

    Returns:
        ``fewshot.report.as_json``: the classes, each query's predictions, which method was
        unavailable and why, and the preset and the settings, which are the defaults.
    """
    if not isinstance(preset, str):
        raise InputError("The preset is a word: give “drawings” or “photos”.")
    get_preset(preset)
    if not isinstance(queries, list):
        raise InputError("The queries are a list of files: put even a single one into a list.")
    if not queries:
        raise InputError("There are no queries: give at least one picture to classify.")
    inputs.check_query_count(len(queries))
    archive = _uploaded(support, "support")
    if archive.is_dir():
        raise InputError("The support is a folder: give a zip of it.")
    # Before the zip, which may be large, so that what is wrong is told at once.
    found = [_uploaded(query, "queries") for query in queries]
    images.check_work(found)
    pictures = [images.decode(p, _name(q)) for p, q in zip(found, queries, strict=True)]
    folders = inputs.read_zip(str(archive))
    support_set = images.support_set(folders.classes)
    choices = Choices()
    steps = compare_in_steps(support_set, pictures, preset, choices, tuple(TITLES))
    *_, answers = until_stopped(steps, {"asked": False})  # nobody can, but it takes no longer
    run_with = conditions(preset, settings_of(choices, preset), None)
    answers = with_photos_told(answers, support_set, preset, "give the preset “photos”")
    return as_json(answers, folders.skipped, run_with)


def _uploaded(file: Any, argument: str) -> Path:
    """The path of an uploaded file, which lies in the upload folder or is refused."""
    path = file.get("path") if isinstance(file, dict) else None
    if not isinstance(path, str) or not path:
        raise InputError(f"“{argument}” takes uploaded files: with gradio_client, handle_file(…).")
    uploads = Path(get_upload_folder()).resolve()
    try:
        found = Path(path).resolve()
        is_upload = found.is_relative_to(uploads)
    except (OSError, ValueError):  # signs that no path has
        is_upload = False
    if not is_upload:
        raise InputError(f"“{argument}” names a file that was not uploaded: upload it first.")
    return found


def _name(file: dict[str, Any]) -> str:
    """What its owner calls a file."""
    name = file.get("orig_name")
    return Path(name if isinstance(name, str) and name else file["path"]).name
