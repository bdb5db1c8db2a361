"""Galleries that take pictures, and tell at once which they cannot take."""

from __future__ import annotations

import gradio as gr

from fewshot.ui import inputs
from fewshot.ui.errors import shown
from fewshot.ui.markup import several


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
        file_types=["image"],
        sources=["upload", "webcam", "clipboard"],
        interactive=True,
        columns=4,
        height=height,
        object_fit="contain",
        allow_preview=False,
        buttons=[],
    )
    gallery.upload(
        keep_readable,
        gallery,
        gallery,
        api_visibility="private",
        show_progress="hidden",
    )
    return gallery


@shown
def keep_readable(gallery: inputs.Gallery) -> list[str]:
    """The gallery without the pictures that cannot be read, each of which is told of."""
    kept, refused = inputs.checked(gallery)
    if refused:
        gr.Warning(several(refused), duration=20)
    return gr.skip() if kept == inputs.paths(gallery) else kept
