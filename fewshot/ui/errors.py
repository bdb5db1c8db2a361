"""The boundary between handlers and visitors: whatever goes wrong is shown as one sentence."""

from __future__ import annotations

import functools
import html
import inspect
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import gradio as gr

from fewshot.types import InputError
from fewshot.ui.markup import escaped

log = logging.getLogger("fewshot.ui")

UNEXPECTED = (
    "Something went wrong on our side; nothing you gave was lost. Try once more, and if it "
    "happens again, reload the page."
)


def sentence(error: Exception) -> str:
    """What a visitor is told; anything not meant for them is logged and told without internals."""
    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, gr.Error):  # of the machine the page runs on: a quota is spent
        return html.unescape(re.sub("<[^>]*>", "", error.message))
    log.error("A handler failed", exc_info=error)
    return UNEXPECTED


def shown(handler: Callable) -> Callable:
    """Decorate a handler: what it raises becomes a toast on the page."""
    return _guarded(handler, escaped)


def told(handler: Callable) -> Callable:
    """Decorate an API function: what it raises becomes the client's error message."""
    return _guarded(handler, str)


def _guarded(handler: Callable, written: Callable[[str], str]) -> Callable:
    @contextmanager
    def boundary() -> Iterator[None]:
        try:
            yield
        except gr.Error:
            raise
        except Exception as error:
            raise gr.Error(written(sentence(error)), print_exception=False) from error

    if inspect.isgeneratorfunction(handler):

        @functools.wraps(handler)
        def generator(*args, **kwargs):
            with boundary():
                yield from handler(*args, **kwargs)

        return generator

    @functools.wraps(handler)
    def function(*args, **kwargs):
        with boundary():
            return handler(*args, **kwargs)

    return function
