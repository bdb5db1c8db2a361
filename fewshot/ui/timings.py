"""How long CLIP models take for a picture on this machine, as the quickest run with each showed."""

from __future__ import annotations

import numpy as np

from fewshot.types import Comparison

# By model name. Of the machine, not of a visitor: the same for everybody.
_MILLISECONDS: dict[str, float] = {}


def remember(model: str, comparison: Comparison) -> None:
    """Keep what a picture took in a comparison.

    Args:
        model: its name, as :func:`fewshot.encoders.clip_models.find_clip` gives it.
        comparison: in which CLIP answered.
    """
    # The quickest: others loaded the model, or shared the machine.
    took = float(np.median(comparison.results["clip"].milliseconds))
    _MILLISECONDS[model] = min(took, _MILLISECONDS.get(model, took))


def pace(model: str) -> str:
    """One sentence, "At best it takes about 60 ms a picture here.", or "" before a first run."""
    if model not in _MILLISECONDS:
        return ""
    milliseconds = float(f"{_MILLISECONDS[model]:.2g}")
    return f"At best it takes about {max(milliseconds, 1):,.0f} ms a picture here."
