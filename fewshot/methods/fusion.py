"""Names and pictures together, the plain way: the adapter's baseline."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from fewshot.methods.batch import SupportBatch
from fewshot.methods.clip_zero_shot import ClipZeroShot
from fewshot.methods.prototype import Prototype
from fewshot.types import Prediction, Support


class Fusion(ClipZeroShot):
    """The mean of the probabilities of zero-shot and of cosine prototypes.

    Nothing is learned or chosen: what :class:`ClipAdapter` has to beat. It believes names and
    pictures equally, also where one of them tells nothing. Averaging classifiers: Kittler et al.,
    On combining classifiers, IEEE TPAMI 1998, https://doi.org/10.1109/34.667881.
    """

    name = "fusion"
    title = "Names + prototypes"
    reads_pictures = True

    def fit(self, support: Support, queries: np.ndarray | None = None) -> Fusion:
        """See :class:`Method`."""
        super().fit(support)
        self.pictures_ = Prototype(self.encoder, self.settings).fit(support)
        return self

    def predict(self, queries: np.ndarray) -> Prediction:
        """See :class:`Method`; the score is the mean of the two cosines."""
        names, pictures = super().predict(queries), self.pictures_.predict(queries)
        return Prediction(
            self.classes_,
            (names.probabilities + pictures.probabilities) / 2,
            (names.scores + pictures.scores) / 2,
            pictures.evidence,
        )

    def predict_batch(self, support: SupportBatch, queries: Tensor) -> Tensor:
        """See :class:`Method`."""
        pictures = Prototype(self.encoder, self.settings).predict_batch(support, queries)
        return (super().predict_batch(support, queries) + pictures) / 2
