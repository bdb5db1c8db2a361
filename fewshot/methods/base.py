"""What every method is."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from fewshot.encoders.base import Encoder
from fewshot.methods.adaptation import VIEWS, Plan, learns, plan_for, sharpness
from fewshot.methods.batch import SupportBatch
from fewshot.metrics import softmax
from fewshot.types import InputError, Prediction, Support

# The range in which training W and b makes sense on a handful of pictures.
MAX_STEPS = 500
# CLIP reads each of them once for each class name; the longest published set has 80.
MAX_TEMPLATES = 100


@dataclass(frozen=True)
class Settings:
    """What a person may set; the defaults need no touching.

    Attributes:
        steps: fine-tuning steps of the prototype classifier, 0 to 500; 0 leaves the prototypes.
            None takes the plan's for the number of shots: on photos, and with the queries, chosen
            on validation classes; on drawings without them a plain default.
        temperature: factor on similarities in the softmax, 0.001 to 1000; larger is surer. None
            takes the one chosen on validation data. The logits of siamese, koch and relation have
            none, and those of names keep the one that CLIP learned.
        entropy_weight: of the prototype classifier's regularisation, 0 to 10, times the plan's
            factor for the number of shots: chosen on validation classes, on drawings without the
            queries 1.
        templates: prompts for CLIP, at most 100, ``{}`` where the class name goes.
        transductive: let fine-tuning look at the queries it is to classify, all at once.
        last_block: let fine-tuning tune the last block of CLIP's image tower, too; it takes
            seconds for each support set, not a fraction of one.

    Raises:
        InputError: a value outside its range.
    """

    steps: int | None = None
    temperature: float | None = None
    entropy_weight: float = 0.1
    templates: tuple[str, ...] = ("a photo of a {}.",)
    transductive: bool = False
    last_block: bool = False

    def __post_init__(self) -> None:
        if self.steps is not None and not 0 <= self.steps <= MAX_STEPS:
            raise InputError(f"Fine-tuning takes 0 to {MAX_STEPS} steps, not {self.steps}.")
        if self.temperature is not None and not 0.001 <= self.temperature <= 1000:
            raise InputError(f"The temperature lies in 0.001 to 1000, not {self.temperature}.")
        if not 0 <= self.entropy_weight <= 10:
            raise InputError(f"The entropy weight lies in 0 to 10, not {self.entropy_weight}.")
        if not self.templates or not all("{}" in t and len(t) <= 200 for t in self.templates):
            raise InputError(
                "Every prompt template needs {} where the class name goes, and at most 200 "
                "characters."
            )
        if len(self.templates) > MAX_TEMPLATES:
            raise InputError(
                f"{len(self.templates):,} prompt templates are too many: keep to {MAX_TEMPLATES}."
            )


class Method(ABC):
    """A classifier over one encoder's embeddings.

    Attributes:
        name: in the registry.
        title: for people.
        transductive: whether ``fit`` looks at the queries.
        tunes_encoder: whether the encoder is to learn from each support set, too.
        reads_pictures: False for a method that looks at class names alone.
        classes_: set by ``fit``.
    """

    name: str
    title: str
    transductive: bool = False
    tunes_encoder: bool = False
    reads_pictures: bool = True
    classes_: tuple[str, ...]

    def __init__(self, encoder: Encoder, settings: Settings | None = None) -> None:
        self.encoder = encoder
        self.settings = settings or Settings()

    @property
    def temperature(self) -> float:
        """Factor on similarities: the person's, else the encoder's."""
        chosen = self.settings.temperature
        return self.encoder.temperature if chosen is None else chosen

    @property
    def n_views(self) -> int:
        """Augmented views of each support picture that ``fit`` uses, to learn from."""
        return VIEWS if self._learns else 0

    @property
    def most_at_once(self) -> int:
        """How many tasks a batch should have at most.

        Few where each takes long, so that whoever waits is told of them, and can stop.
        """
        return 1 if self.tunes_encoder else sys.maxsize

    @abstractmethod
    def fit(self, support: Support, queries: np.ndarray | None = None) -> Method:
        """Learn from a support set.

        Args:
            support: as this method's encoder sees it.
            queries: ``(q, d)``, looked at by transductive methods only.

        Returns:
            Itself.
        """

    @abstractmethod
    def predict(self, queries: np.ndarray) -> Prediction:
        """Classify ``(q, d)`` queries; changes nothing."""

    def nearest(
        self, support: Support, queries: np.ndarray, most: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """The pictures that ``fit`` was shown which lie nearest to each query in its own space.

        Args:
            support: that it was fitted to, with its index.
            queries: ``(q, d)``.
            most: pictures of a query.

        Returns:
            Positions in the support set and cosine similarities, ``(q, k)``, the nearest first;
            ``k`` is ``most`` or as many as there are.
        """
        return support.index.search(queries, most, self.encoder.digest)

    def predict_batch(self, support: SupportBatch, queries: Tensor) -> Tensor:
        """What ``fit`` and ``predict`` give for each of some unrelated tasks.

        One task after the other here; a method that can do many at once does so.

        Args:
            support: of ``e`` tasks.
            queries: ``(e, q, d)``.

        Returns:
            Probabilities ``(e, q, n_way)`` float32, on the queries' device.
        """
        rows = []
        for number, x in enumerate(queries.cpu().numpy()):
            self.fit(support[number], x if self.transductive else None)
            rows.append(torch.from_numpy(self.predict(x).probabilities))
        return torch.stack(rows).to(queries.device)

    @property
    def _learns(self) -> bool:
        """Whether it learns from the support set over such an encoder."""
        return learns(self.encoder.family, self.name)

    def _plan(self, support: Support | SupportBatch, name: str | None = None) -> Plan:
        """How far to learn from a support set, by its own plans or those of a name."""
        return plan_for(self.encoder.family, name or self.name, support)

    def _sharpness(self, support: Support | SupportBatch) -> float:
        """Factor on the logits of its softmax over classes."""
        return sharpness(self.encoder.family, self.name, support)

    def _unit(self, x: Tensor) -> Tensor:
        """Rows of an encoder's embeddings scaled to unit length, where they are not already."""
        return x if self.encoder.unit_norm else F.normalize(x, dim=-1)

    def _prediction(
        self,
        logits: np.ndarray,
        scores: np.ndarray | None = None,
        evidence: np.ndarray | None = None,
    ) -> Prediction:
        """Softmax over classes of ``(q, n_way)`` logits."""
        return Prediction(
            self.classes_,
            softmax(logits).astype(np.float32),
            (logits if scores is None else scores).astype(np.float32),
            None if evidence is None else evidence.astype(np.float32),
        )
