"""The buttons while the engine works: nothing else can be started, only stopped.

Two runs at once would mix, the inputs of one beside the results of the other. So the browser itself
disables whatever starts a run, in the moment of the click, and the run gives it back as it ends.
Gradio's ``cancels`` would not keep them apart: it does nothing to an event that the server has not
answered yet, and to one between two answers only once the next has come; what is started meanwhile
it takes for the run that was stopped. So a run is asked to stop, and ends itself.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from fewshot.types import InputError
from fewshot.ui.aloud import say, say_what
from fewshot.ui.engine import Step
from fewshot.ui.markup import QUIET, escaped, notice

# Seconds; a browser on two cores that it shares with the engine takes about as long over an update.
LEGIBLE = 0.1
MOST_SECONDS = 900  # of a run: then others get their turn
STOPPED = notice("Stopped. Everything you gave is still here.")
# JavaScript. A button that is disabled loses the focus; it has it back at the run's end.
_BEGUN = f"globalThis.startedBy = document.activeElement; {say('Working.')}"
# JavaScript, of how to scroll.
GENTLY = 'behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth"'


@dataclass(frozen=True)
class RunButtons:
    """What there is to press, and the progress bar above it.

    Attributes:
        stop: ends a run.
        progress: of a run.
        starters: each begins a run, or takes away what one is looking at.
    """

    stop: gr.Button
    progress: gr.HTML
    starters: Sequence[gr.Button]

    @property
    def outputs(self) -> list[Any]:
        """What :meth:`idle` and :meth:`busy` return updates for, in their order."""
        return [self.stop, self.progress, *self.starters]

    def idle(self) -> list[Any]:
        """Updates: ready."""
        return [gr.update(visible=False), "", *self._starters(True)]

    def busy(self, step: Step) -> list[Any]:
        """Updates: at work, and at what."""
        bar = progress_bar(step.what, step.share)
        return [gr.update(visible=True), bar, *self._starters(False)]

    def begun(self, what: str) -> list[Any]:
        """Updates: at work on the first thing, and Stop as if it had never been pressed."""
        stop = gr.update(visible=True, interactive=True, value="Stop")
        return [stop, *self.busy(Step(0.0, what))[1:]]

    @property
    def idle_js(self) -> str:
        """:meth:`idle` for the browser alone."""
        return f"() => {{ globalThis.focusBack(); return {json.dumps(self.idle())}; }}"

    @property
    def waiting_js(self) -> str:
        """For the browser alone: asked to run. What does not run yet cannot be stopped yet."""
        files = progress_bar("Waiting for the files")
        rest = json.dumps(self._starters(False))
        return f"""() => {{
          {_BEGUN}
          const bar = globalThis.uploads > 0 ? {json.dumps(files)} : {json.dumps(_FOR_ENGINE)};
          return [{json.dumps(gr.skip())}, bar, ...{rest}];
        }}"""

    @property
    def sent(self) -> dict[str, Any]:
        """A listener: the files have arrived, and the run still waits for its turn."""
        js = f"() => {json.dumps(_FOR_ENGINE)}"
        return {"fn": None, "outputs": self.progress, "js": js, **QUIET}

    def _starters(self, interactive: bool) -> list[Any]:
        return [gr.update(interactive=interactive)] * len(self.starters)


def legible(steps: Iterable[Any]) -> Iterator[Any]:
    """What is yielded, but for those Steps that follow the one told before too soon to be read.

    So what is told may be a step behind, where a slow one follows on quick ones.

    With everything embedded already a method answers in milliseconds, and showing each of them
    took a quarter of the time from the click to the answers.
    """
    told = -math.inf  # the first is always told: with a cold engine it takes the longest
    for step in steps:
        if isinstance(step, Step):
            if time.monotonic() - told < LEGIBLE:
                continue
            yield step
            told = time.monotonic()
        else:
            yield step


def until_stopped(steps: Iterable[Any], stopping: dict[str, bool]) -> Iterator[Any]:
    """What is yielded until a Stop is asked for.

    Args:
        steps: of a run.
        stopping: of :func:`stop_flag`.

    Raises:
        InputError: the run takes too long.
    """
    began = None  # with the first step: before it the run may have waited for a GPU
    for step in steps:
        if stopping["asked"]:
            return
        began = time.monotonic() if began is None else began
        if isinstance(step, Step) and time.monotonic() > began + MOST_SECONDS:
            raise InputError(
                f"A run ends after {MOST_SECONDS // 60} minutes, so that others get their turn: "
                "take fewer pictures or names, a smaller model, or the command line."
            )
        yield step


def stop_flag() -> gr.State:
    """A mutable value, changed in place: what a Stop writes there, a run reads, of one visitor."""
    return gr.State({"asked": False})


def ask_to_stop(stopping: dict[str, bool]) -> Any:
    """Ask a run to end: an update for the button."""
    stopping["asked"] = True
    return gr.update(interactive=False, value="Stopping")


def arrived_js(results: str) -> str:
    """For the browser, given what was asked for and what is answered: says aloud how a run ended.

    It goes to where the results begin as well, if that is out of sight above or below.

    Args:
        results: CSS selector.
    """
    return f"""(asked, answered) => {{
      globalThis.focusBack();
      {say_what('asked === answered ? "The answers are here." : "Stopped."')}
      const place = document.querySelector("{results}"), {{ top }} = place.getBoundingClientRect();
      if (asked !== answered || (top >= 0 && top < innerHeight / 2)) return;
      place.scrollIntoView({{{GENTLY}}});
    }}"""


def looked_js() -> str:
    """For the browser, given the problem: says aloud how a look at the answers ended."""
    return f"""(problem) => {{
      globalThis.focusBack();
      {say_what('problem ? "Stopped." : "What the answers rest on is shown."')}
    }}"""


def progress_bar(what: str, share: float | None = None) -> str:
    """HTML: at what, and how far; None where nobody knows."""
    value = "" if share is None else f' value="{share:.3f}"'
    return f'<label class="progress">{escaped(what)} <progress{value}></progress></label>'


def download_asked_js() -> str:
    """For the browser alone: updates for a status and its button until the server takes it up.

    Which may be once another visitor's download is over.
    """
    waiting = [progress_bar("Waiting to download"), gr.update(interactive=False)]
    return f"() => {json.dumps(waiting)}"


def download_failed_js() -> str:
    """For the browser, given the status: the button is ready again, and what went wrong stays."""
    ready = json.dumps(gr.update(interactive=True))
    return f"""(status) => [status?.includes("<progress") ? "" : status, {ready}]"""


# Within which the style sheet says, a while later, who else is at it.
_FOR_ENGINE = f'<div class="waiting">{progress_bar("Waiting for the engine")}</div>'


def run_and_stop(label: str, elem_id: str, stop_id: str) -> tuple[gr.Button, gr.Button]:
    """In a row: a button that starts something, and the one that stops it, hidden till then."""
    run = gr.Button(label, variant="primary", scale=3, min_width=120, elem_id=elem_id)
    stop = gr.Button("Stop", variant="stop", scale=1, min_width=80, visible=False, elem_id=stop_id)
    return run, stop
