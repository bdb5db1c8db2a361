"""Whether the chosen kind of pictures fits what is shown, said before a run."""

from __future__ import annotations

from collections.abc import Sequence

import gradio as gr
from gradio.events import Dependency

from fewshot.remarks import evenly, photographed
from fewshot.types import InputError, Picture
from fewshot.ui import clip_files, inputs
from fewshot.ui.changes import any_change
from fewshot.ui.classes_panel import ClassesPanel
from fewshot.ui.errors import shown
from fewshot.ui.markup import QUIET, escaped, notice
from fewshot.ui.settings_panel import SettingsPanel

# What to do where photos are taken for drawings.
CHOOSE_PHOTOS = "choose Photos under “Kind of pictures”"


def wire_kind(
    preset: gr.Radio,
    note: gr.HTML,
    classes: ClassesPanel,
    settings: SettingsPanel,
    events: Sequence[Dependency],
) -> None:
    """Say it in the note, whenever the pictures or a choice become others.

    Args:
        preset: the kind of pictures.
        note: below it.
        classes, settings: what else it goes by.
        events: that replace all classes.
    """
    changes = [preset, settings.status, classes.compact, *classes.galleries, *classes.pads]
    any_change(changes, events).change(
        kind_note, [preset, settings.model, classes.imported, *classes.galleries], note,
        trigger_mode="always_last", **QUIET,
    )  # fmt: skip


@shown
def kind_note(preset: str, model: str | None, zipped: str, *galleries: inputs.Gallery) -> str:
    """HTML: what would stop a run, or that photos would be taken for drawings; else nothing.

    Args:
        preset: a name in PRESETS.
        model: which CLIP model.
        zipped: path of a zip that is shown as a list, or "".
        galleries: of the slots.
    """
    if preset == "photos":
        found = clip_files.whereabouts(model)
        if found.here:
            return ""
        said = f"Photos are looked at through CLIP. {escaped(found.sentence)}"
        return notice(said, "problem")
    try:
        said = photographed(_some(zipped, galleries), preset, CHOOSE_PHOTOS)
    except InputError:  # who classifies will be told
        return ""
    return notice(escaped(said), "problem") if said else ""


def _some(zipped: str, galleries: tuple[inputs.Gallery, ...]) -> list[Picture]:
    """A few of the pictures that are shown, evenly from all."""
    if zipped:
        classes = inputs.read_zip(zipped).classes
        return evenly([picture for _, pictures in classes for picture in pictures])
    found = [path for gallery in galleries for path in inputs.paths(gallery)]
    return [inputs.read_file(path) for path in evenly(found)]
