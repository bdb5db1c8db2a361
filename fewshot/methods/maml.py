"""Model-agnostic meta-learning: the whole network learns from the support set."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from fewshot.encoders.maml_network import MamlNetwork
from fewshot.index import build_index
from fewshot.methods.base import Method
from fewshot.methods.batch import SupportBatch
from fewshot.types import InputError, Prediction, Support

# Pictures that tasks learn from and are asked together. A task also holds the network's weights
# some times over: with 1.5 million of them, 25 MB.
PICTURES_AT_ONCE = 512
TASKS_AT_ONCE = 16
QUERIES_AT_ONCE = 256
# A task's own, whose activations are held for the gradients: 2 MB each.
MOST_SHOWN = 1_000


class Maml(Method):
    """A few gradient steps on the support set, from weights trained to be a good start for them.

    ``θ' = θ − α ∇ loss(support; θ)``, some times over, all parameters θ; then
    ``p = softmax(τ·cos(w_c, f(q)))`` with the adapted embedding f and rows w. Training took the
    gradient of the queries' loss through these steps (second order).

    Finn, Abbeel, Levine: Model-agnostic meta-learning for fast adaptation of deep networks, ICML
    2017, https://arxiv.org/abs/1703.03400; rows that start equal, so that any ways will do: Ye,
    Chao, ICLR 2022, https://arxiv.org/abs/2106.16245; see
    :class:`fewshot.encoders.maml_network.MamlNetwork`. Unlike the paper's, it uses no statistics
    of a batch, which would let queries see each other (the paper's batch norm makes it
    transductive). A task costs some passes through the network and back, and one picture per class
    says little on how to change 1.5 million weights: most of what it knows it knew before.
    """

    name = "maml"
    title = "MAML"

    @property
    def most_at_once(self) -> int:
        """See :class:`Method`; as many as it computes together anyhow."""
        return TASKS_AT_ONCE

    def fit(self, support: Support, queries: np.ndarray | None = None) -> Maml:
        """See :class:`Method`.

        Raises:
            InputError: the encoder carries no network to adapt, or there are too many pictures.
        """
        _check_few(len(support.labels))
        self.network_ = self.encoder.maml_network()
        shown = SupportBatch.of(support)
        with torch.no_grad():
            self.adapted_ = self.network_.adapt_many(shown.embeddings, shown.membership)
            self.support_ = self.network_.embed_many(self.adapted_, shown.embeddings)[0]
        embedded = replace(support, embeddings=self.support_.numpy())
        self.index_ = build_index(embedded, f"{self.encoder.digest}-adapted")
        self.classes_ = support.classes
        return self

    @torch.no_grad()
    def predict(self, queries: np.ndarray) -> Prediction:
        """See :class:`Method`; the score is the cosine to a row, evidence to a picture."""
        x = self._embed(queries)
        scores = self.network_.compare_many(self.adapted_, x)[0].numpy()
        evidence = (x[0] @ self.support_.T).numpy()
        return self._prediction(self.temperature * scores, scores, evidence)

    def nearest(
        self, support: Support, queries: np.ndarray, most: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """See :class:`Method`; as the adapted network embeds them."""
        return self.index_.search(self._embed(queries)[0].numpy(), most, self.index_.encoder_digest)

    @torch.no_grad()
    def predict_batch(self, support: SupportBatch, queries: Tensor) -> Tensor:
        """See :class:`Method`.

        Raises:
            InputError: as :meth:`fit`.
        """
        _check_few(support.embeddings.shape[1])
        network = self._network_on(queries.device)
        shown = support.embeddings.shape[1] + queries.shape[1]
        at_once = max(1, min(TASKS_AT_ONCE, PICTURES_AT_ONCE // shown))
        parts = zip(support.embeddings.split(at_once), queries.split(at_once), strict=True)
        cosines = [network.answer(x, support.membership, asked) for x, asked in parts]
        return (self.temperature * torch.cat(cosines)).softmax(2)

    @torch.no_grad()
    def _embed(self, queries: np.ndarray) -> Tensor:
        """``(1, q, dim)``, by the adapted network."""
        parts = torch.from_numpy(np.ascontiguousarray(queries)).split(QUERIES_AT_ONCE)
        return torch.cat([self.network_.embed_many(self.adapted_, p[None]) for p in parts], 1)

    def _network_on(self, device: torch.device) -> MamlNetwork:
        network = self.encoder.maml_network()
        if device.type == "cpu":
            return network
        return copy.deepcopy(network).to(device)  # the encoder's own stays where it is


def _check_few(shown: int) -> None:
    if shown > MOST_SHOWN:
        raise InputError(
            f"MAML learns from all pictures together, and {shown:,} are too many: show at most "
            f"{MOST_SHOWN:,}."
        )
