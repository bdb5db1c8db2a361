"""CLIP zero-shot: class names instead of pictures."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from fewshot.encoders.base import Encoder
from fewshot.methods.base import Method, Settings
from fewshot.methods.batch import SupportBatch
from fewshot.metrics import cosine_similarities, normalise
from fewshot.prompts import prompts_of
from fewshot.types import Prediction, Support


class ClipZeroShot(Method):
    """A prototype classifier whose prototypes are embedded class names.

    Each name is put into a set of prompt templates; their text embeddings, averaged and
    re-normalised, are the class's prototype, and ``softmax(logit_scale · t·q)`` its probability.
    It does not look at the support pictures, so a name that says nothing ("class 1") tells it
    nothing.

    Radford et al.: Learning transferable visual models from natural language supervision, ICML
    2021, https://arxiv.org/abs/2103.00020.
    """

    name = "clip"
    title = "CLIP zero-shot"
    reads_pictures = False

    def __init__(self, encoder: Encoder, settings: Settings | None = None) -> None:
        super().__init__(encoder, settings)
        if not encoder.reads_text:
            raise TypeError(f"zero-shot needs an encoder that reads text, unlike {encoder.name}")

    @property
    def temperature(self) -> float:
        """CLIP learned its own, which the person's setting does not replace."""
        return self.encoder.text_temperature

    def fit(self, support: Support, queries: np.ndarray | None = None) -> ClipZeroShot:
        """See :class:`Method`; reads the classes' names and descriptions alone."""
        self.classes_ = support.classes
        self.prototypes_ = text_prototypes(self.encoder, support.described, self.settings.templates)
        return self

    def predict(self, queries: np.ndarray) -> Prediction:
        """See :class:`Method`; the score is the cosine of picture and text."""
        cosines = cosine_similarities(queries, self.prototypes_)
        return self._prediction(self.temperature * cosines, cosines)

    def predict_batch(self, support: SupportBatch, queries: Tensor) -> Tensor:
        """See :class:`Method`."""
        used, places = np.unique(support.classes, return_inverse=True)
        names = tuple(support.names[c] for c in used)
        texts = text_prototypes(self.encoder, names, self.settings.templates)
        rows = texts[places.reshape(support.classes.shape)]  # (e, n_way, d)
        rows = torch.from_numpy(rows).to(queries)
        return (self.temperature * self._unit(queries) @ rows.mT).softmax(2)


def text_prototypes(
    encoder: Encoder, classes: tuple[str, ...], templates: tuple[str, ...]
) -> np.ndarray:
    """Each class's prompts, embedded, averaged and re-normalised: ``(n_way, dim)``."""
    embeddings = encoder.embed_texts(prompts_of(classes, templates))
    return normalise(embeddings.reshape(len(classes), len(templates), -1).mean(1))
