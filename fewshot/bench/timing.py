"""Timing two things side by side."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

# Told what is measured now, and the share of the measurements before it.
OnPart = Callable[[float, str], None]


def unheard(share: float, what: str) -> None:
    """An OnPart for nobody."""


def seconds(work: Callable[[], object]) -> float:
    """Wall-clock time of one call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def alternating_medians(
    ours: Callable[[], object], baseline: Callable[[], object], rounds: int
) -> tuple[float, float]:
    """Median seconds of each, called by turns so that a busy machine slows both alike."""
    for work in (ours, baseline):
        work()  # warm up
    times = [(seconds(ours), seconds(baseline)) for _ in range(rounds)]
    return statistics.median(t for t, _ in times), statistics.median(t for _, t in times)
