"""Pictures on their way to the page: waited for by what takes classes away or replaces them.

Pictures that arrive, and what the server makes of a gallery, go to the slot that they were meant
for when they set out, whichever class that has by then.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

_HERE = Path(__file__).parent
# An uploaded support set may have 300 MB unpacked; a zip of it is a little more than its files.
MAX_MEGABYTES = 320
# For an HTML component's js_on_load, once in the page.
COUNT_UPLOADS = (
    (_HERE / "count_uploads.js").read_text("utf-8").replace("MEGABYTES", str(MAX_MEGABYTES))
)
# A listener: those behind it to the same click run once all is there.
ALL_ARRIVED: dict[str, Any] = {
    "fn": None,
    "js": (_HERE / "all_arrived.js").read_text("utf-8"),
    "api_visibility": "private",
}
# The same, of a file that is on its way anywhere.
UPLOADS_OVER: dict[str, Any] = {
    "fn": None,
    "js": """async () => {
      while (globalThis.uploads > 0) await new Promise((resolve) => setTimeout(resolve, 50));
    }""",
    "api_visibility": "private",
}


def for_the_browser() -> gr.HTML:
    """What holds files for JavaScript; unlike JSON, which Gradio sends as it is."""
    return gr.HTML(visible=False)


def file_for_the_browser(path: str) -> dict[str, Any]:
    """A kept file as a gallery's value has it; Gradio adds where it is served."""
    return gr.FileData(path=path, orig_name=Path(path).name).model_dump()


def upload_over(elem_id: str) -> dict[str, Any]:
    """A listener that returns once no upload to a gallery that was empty is on its way.

    It would take the place of whatever the gallery has by then.
    """
    js = f"""async () => {{
      while (document.querySelector("#{elem_id} .uploading"))
        await new Promise((resolve) => setTimeout(resolve, 50));
    }}"""
    return {"fn": None, "js": js, "api_visibility": "private"}
