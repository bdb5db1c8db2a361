"""Files that a request names by an address: not fetched."""

from __future__ import annotations

from typing import NoReturn

import gradio as gr
from gradio import processing_utils


def refuse_addresses() -> None:
    """Let no request make this server download what lies elsewhere.

    Gradio fetches a file that is given by its http address whole into memory, whatever its size,
    before any handler or ``max_file_size`` is asked: a few requests of a line each could take all
    there is. It looks its function up by name at each such file, so another can stand there.
    """
    processing_utils.async_ssrf_protected_download = _refused


async def _refused(url: str, cache_dir: str) -> NoReturn:
    raise gr.Error("Addresses are not fetched here: give the file itself.", print_exception=False)
