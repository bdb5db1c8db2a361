"""Galleries that take pictures, and tell at once which they cannot take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from fewshot.ui import inputs
from fewshot.ui.arrivals import file_for_the_browser, for_the_browser
from fewshot.ui.errors import shown
from fewshot.ui.markup import QUIET, several

_HERE = Path(__file__).parent
_KEEP_READABLE = (_HERE / "keep_readable.js").read_text("utf-8")
# For an HTML component's js_on_load, once in the page: what all galleries do.
GALLERIES = "".join(
    (_HERE / f"{name}.js").read_text("utf-8") for name in ("enlarge", "drops", "back_from_camera")
)


class _ForTheBrowser(list):
    """File types for the browser's dialog; the server, which asks whether there are any, hears no.

    It would refuse a name that it does not know, like ``photo.pjpeg``, before any handler is asked:
    each that takes the gallery would fail. :func:`look_at` tells pictures by their content.
    """

    def __bool__(self) -> bool:
        return False


def picture_gallery(label: str, elem_id: str, height: int = 170) -> gr.Gallery:
    """A gallery for uploads, webcam and clipboard; a file that is no picture is taken out again.

    Args:
        label: what it holds.
        elem_id: of the component.
        height: in pixels; more pictures scroll.
    """
    gallery = gr.Gallery(
        label=label,
        show_label=False,
        elem_id=elem_id,
        elem_classes="pictures",
        type="filepath",
        file_types=_ForTheBrowser(["image"]),
        sources=["upload", "webcam", "clipboard"],
        interactive=True,
        columns=4,
        height=height,
        object_fit="contain",
        allow_preview=False,
        buttons=[],
    )
    # In two steps, as the first may take seconds: the second finds the gallery as it is by then.
    verdict = for_the_browser()
    looked = gallery.upload(look_at, gallery, verdict, trigger_mode="always_last", **QUIET)
    looked.success(None, [verdict, gallery], gallery, js=_KEEP_READABLE, **QUIET)
    # Given what it has, a gallery shows it: see back_from_camera.js.
    again = gr.Button(elem_id=f"{elem_id}-again", elem_classes="unseen")
    again.click(None, gallery, gallery, js="(pictures) => [[...(pictures ?? [])]]", **QUIET)
    return gallery


@shown
def look_at(gallery: inputs.Gallery) -> dict[str, Any]:
    """What is to become of some of the pictures, by path; those that cannot be read are told of.

    None where one is to go, else the file that takes its place.
    """
    verdict, refused = inputs.checked(gallery)
    if refused:
        gr.Warning(several(refused), duration=20)
    return {path: new and file_for_the_browser(new) for path, new in verdict.items()}
