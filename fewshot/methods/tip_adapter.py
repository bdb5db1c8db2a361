"""Names and pictures together, nothing trained: Tip-Adapter as it is."""

from __future__ import annotations

import numpy as np

from fewshot.methods.clip_adapter import ClipAdapter
from fewshot.types import Support


class TipAdapter(ClipAdapter):
    """Zero-shot, corrected by a cache whose keys are the pictures' embeddings as they are.

    What :class:`ClipAdapter` is before its keys learn, α and β chosen alike: its baseline.

    Zhang et al.: Tip-Adapter: training-free adaption of CLIP for few-shot classification, ECCV
    2022, https://arxiv.org/abs/2207.09519.
    """

    name = "tip-adapter"
    title = "CLIP adapter, untrained"

    def _trained_keys(self, support: Support) -> np.ndarray:
        return support.embeddings
