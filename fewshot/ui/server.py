"""Starting the page: arguments, environment, and the one line that says why it cannot start."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import NoReturn

from fewshot.ui import uploads


class StartError(Exception):
    """The page cannot be served; the message is one line for whoever started it."""


def port(text: str) -> int:
    """A TCP port, of an argument."""
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= 65_535):
        raise argparse.ArgumentTypeError(f"a port is a number from 1 to 65535, not {text!r}")
    return int(text)


def default_host() -> str:
    """``$GRADIO_SERVER_NAME``, else every address on a Space, else this machine alone."""
    everywhere = "0.0.0.0" if os.environ.get("SPACE_ID") else "127.0.0.1"
    return os.environ.get("GRADIO_SERVER_NAME") or everywhere


def run(host: str, port: int, *, share: bool = False, model: str | None = None) -> None:
    """Serve the page until interrupted; the engine warms up meanwhile.

    Args:
        host: address to listen on.
        port: to listen on; no other is tried.
        share: whether to ask gradio.live for a public address.
        model: which CLIP model, as ``fewshot.encoders.clip_models.find_clip`` takes it.

    Raises:
        StartError: the address cannot be listened on, or there can be no such model or no
            folder for what visitors upload.
    """
    _check_address(host, port)  # before the imports, which take seconds
    if model:
        os.environ["FEWSHOT_CLIP"] = model
    if model or os.environ.get("FEWSHOT_CHECKPOINTS"):  # for others, torch is not to be waited for
        _check_models(model)
    try:
        folder = uploads.own_folder()  # before the import of Gradio, which reads where it is
    except OSError as error:
        raise StartError(f"cannot make a folder for what visitors upload: {error}") from error
    with folder as uploaded:
        from fewshot.ui.engine import warm_up_in_background
        from fewshot.ui.page import build_page, serve

        page = build_page()
        try:
            serve(page, host, port, share=share)
        except OSError as error:  # somebody else was faster
            raise StartError(f"cannot listen on {host}:{port}: {error}") from error
        swept = (Path(uploaded), page.temp_file_sets)
        threading.Thread(target=uploads.sweep_forever, args=swept, daemon=True).start()
        warm_up_in_background()
        # As docker and systemd stop it: an orderly end deletes the folder, as Ctrl-C does.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        page.block_thread()


def end() -> NoReturn:
    """Leave the process at once, all that is to be tidied up being so.

    Somebody's answers may still be computed, and of native threads that are, Python's own end makes
    an abort.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _check_address(host: str, port: int) -> None:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            # As the server will: a port whose last connections are still closing is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    # A name that no domain can have is a UnicodeError.
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise StartError(f"cannot listen on {host}:{port}: {why}") from error


def _check_models(model: str | None) -> None:
    """Refuse a folder that is none; a model of the hub may still be downloaded."""
    from fewshot.encoders import own_checkpoints
    from fewshot.encoders.clip_models import CLIP_MODELS, EMBEDDED, find_clip
    from fewshot.types import InputError

    try:
        own_checkpoints()
        if model and model not in (EMBEDDED, *CLIP_MODELS) and not model.startswith("hf-hub:"):
            find_clip(model)
    except InputError as error:
        raise StartError(str(error)) from error
