"""The page: its tabs, and how it is served."""

from __future__ import annotations

import gradio as gr

from fewshot.ui import style
from fewshot.ui.about_tab import build_about_tab
from fewshot.ui.addresses import refuse_addresses
from fewshot.ui.aloud import BY_KEYS
from fewshot.ui.api import build_api
from fewshot.ui.arrivals import MAX_MEGABYTES
from fewshot.ui.classify_tab import build_classify_tab
from fewshot.ui.evaluate_tab import build_evaluate_tab
from fewshot.ui.markup import block
from fewshot.ui.names_tab import build_names_tab
from fewshot.ui.pictures import GALLERIES

TITLE = "Show it a few pictures"
HEADER = f"""
<header class="masthead">
  <h1>{TITLE}</h1>
  <p>Four classifiers look at the few examples you show, a fifth reads their names alone. They
  answer side by side, and show what their answers rest on.</p>
  <p id="said-aloud" role="status"></p>
</header>
"""
# What Gradio has no words for.
WORDS = {"common.webcam": "Take a picture"}


def build_page() -> gr.Blocks:
    """The page, its queue bounded; :func:`serve` starts it."""
    with gr.Blocks(title=TITLE, analytics_enabled=False, fill_width=True) as page:
        block(HEADER, js_on_load=BY_KEYS + GALLERIES)
        with gr.Tabs():
            with gr.Tab("Classify"):
                settings = build_classify_tab(page)
            with gr.Tab("Names alone"):
                build_names_tab(page, settings)
            with gr.Tab("Evaluate"):
                build_evaluate_tab(page, settings)
            with gr.Tab("How it works"):
                build_about_tab()
        build_api()
    return page.queue(max_size=64, default_concurrency_limit=8)


def serve(
    page: gr.Blocks, host: str, port: int, *, share: bool = False, quiet: bool = False
) -> tuple[str, int]:
    """Start serving the page in the background.

    Args:
        page: of :func:`build_page`.
        host: address to listen on.
        port: to listen on; no other is tried.
        share: whether to ask gradio.live for a public address.
        quiet: print nothing.

    Returns:
        The local address and the port.

    Raises:
        OSError: the port is taken.
    """
    refuse_addresses()
    _, url, _ = page.launch(
        server_name=host,
        server_port=port,
        share=share,
        quiet=quiet,
        prevent_thread_lock=True,
        theme=style.theme(),
        i18n=gr.I18n(en=WORDS),  # to which it comes back in any language
        css=style.style_sheet(),
        footer_links=["api", "settings"],
        max_file_size=f"{MAX_MEGABYTES}mb",
        enable_monitoring=False,
        run_history=False,  # it would keep visitors' pictures in the browser
        state_session_capacity=500,
        ssr_mode=False,
        mcp_server=False,
    )
    return url, page.server_port
