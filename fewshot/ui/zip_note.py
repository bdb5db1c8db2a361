"""What a zip to evaluate on holds, said as it comes and not only once it was measured."""

from __future__ import annotations

from collections.abc import Iterator

import gradio as gr
import numpy as np

from fewshot.remarks import photographed
from fewshot.ui.busy import progress_bar
from fewshot.ui.errors import sentence, shown
from fewshot.ui.evaluate_data import OWN_ZIP, Data, load_data, read_ahead
from fewshot.ui.kind import CHOOSE_PHOTOS
from fewshot.ui.markup import QUIET, escaped, notice, several


def wire_zip_note(zip_path: gr.File, preset: gr.Radio, note: gr.HTML) -> None:
    """Say it in the note, whenever the zip or the kind of pictures becomes another."""
    gr.on(
        [zip_path.change, preset.change], zip_note, [zip_path, preset], note,
        trigger_mode="always_last", **QUIET,
    )  # fmt: skip


@shown
def zip_note(zip_path: str | None, preset: str) -> Iterator[str]:
    """HTML: how far the zip is read, then what it holds or why it cannot be used.

    Args:
        zip_path: where it lies, if there is one.
        preset: a name in PRESETS.
    """
    if not zip_path:
        yield ""
        return
    try:
        for step in read_ahead(OWN_ZIP, zip_path):
            yield progress_bar(step.what, step.share)
        data = load_data(OWN_ZIP, zip_path)
    except Exception as error:
        yield notice(escaped(sentence(error)), "problem")
        return
    left_out = f"<div>Left out: {several(data.skipped)}</div>" if data.skipped else ""
    said = notice(holdings(data) + left_out)
    if remark := photographed(data.pool.pictures, preset, CHOOSE_PHOTOS):
        said += notice(escaped(remark), "problem")
    yield said


def holdings(data: Data) -> str:
    """How many classes a data set has, and how many pictures they have: a sentence."""
    pictures = np.bincount(data.pool.labels)
    least, most = pictures.min(), pictures.max()
    each = f"{least:,}" if least == most else f"{least:,} to {most:,}"
    noun = "picture" if most == 1 else "pictures"
    return f"{len(pictures):,} classes of {each} {noun}: shots and queries come out of these."
