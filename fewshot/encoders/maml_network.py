"""MAML's network: an embedding and one output row, and the gradient steps that adapt both."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from fewshot.encoders.convnet import ConvNet

# What a task's parameters are: those of the body by name, and "rows".
Parameters = dict[str, Tensor]
ROWS = "rows"


@dataclass(frozen=True)
class InnerLoop:
    """How a support set is learned from.

    Attributes:
        steps: of gradient descent, at least 1.
        body_rate: learning rate of the embedding's parameters. At 0.02 and above, tasks of a
            hundred support pictures of one alphabet now and then diverged.
        row_rate: learning rate of the output rows.
        scale: factor on the cosines in the softmax.
    """

    steps: int = 3
    body_rate: float = 0.01
    row_rate: float = 1.0
    scale: float = 10.0

    def as_dict(self) -> dict:
        """JSON-ready."""
        return asdict(self)


class MamlNetwork(nn.Module):
    """Logits ``scale · cos(w_c, f(x))``, the parameters of f and the rows w adapted to a task.

    Finn, Abbeel, Levine: Model-agnostic meta-learning for fast adaptation of deep networks, ICML
    2017, https://arxiv.org/abs/1703.03400: ``θ' = θ − α ∇ loss(support; θ)``, some times over.

    Every class's row starts as a copy of the same learned one, so that any number of classes will
    do and their order does not matter (Ye, Chao: How to train your MAML to excel in few-shot
    classification, ICLR 2022, https://arxiv.org/abs/2106.16245). With equal rows all classes are
    equally likely, and the first step breaks the tie: row c moves by
    ``row_rate · scale / |w| · (μ_c − μ)``, less its part along w, where μ_c is the class's mean
    embedding and μ the mean of these. That is a prototype classifier; the later steps move the
    embedding, too. The rows are compared by cosine because a softmax of plain products would not
    feel a row, or a bias, that all classes share: there would be nothing to learn about it.
    """

    def __init__(self, body: nn.Module, dim: int, inner: InnerLoop) -> None:
        """At a unit-norm row of equal entries.

        Args:
            body: ``(b, ...)`` pictures as vectors to ``(b, dim)`` unit-norm embeddings, each by
                itself: without statistics of the batch.
            dim: length of an embedding.
            inner: how it adapts.
        """
        super().__init__()
        self.body = body
        self.row = nn.Parameter(torch.full((dim,), dim**-0.5))
        self.inner = inner

    def start(self, n_way: int) -> Parameters:
        """The parameters that every task of so many classes starts from."""
        return {**dict(self.body.named_parameters()), ROWS: self.row.expand(n_way, -1)}

    def embed(self, parameters: Parameters, x: Tensor) -> Tensor:
        """``(b, ...)`` pictures to ``(b, dim)`` with one task's parameters."""
        of_body = {name: value for name, value in parameters.items() if name != ROWS}
        return functional_call(self.body, of_body, (x,))

    def compare(self, parameters: Parameters, embedded: Tensor) -> Tensor:
        """Cosines ``(b, n_way)`` of embeddings ``(b, dim)`` with one task's rows."""
        return embedded @ F.normalize(parameters[ROWS], dim=1).T

    def adapt(self, x: Tensor, membership: Tensor, *, first_order: bool = False) -> Parameters:
        """One task's parameters after the inner steps; differentiable by those before.

        Args:
            x: ``(n, ...)`` support pictures.
            membership: ``(n, n_way)``, see :class:`fewshot.methods.batch.SupportBatch`; each class
                counts the same, however many pictures it has.
            first_order: take the inner gradients as constants, as the paper's approximation does.
        """
        now = start = self.start(membership.shape[1])
        if first_order:
            now = {name: value.detach() for name, value in start.items()}
        for step in range(self.inner.steps):
            # With equal rows the embedding's gradient is zero: it need not be computed.
            now = self._stepped(now, x, membership, (ROWS,) if step == 0 else tuple(now))
        if first_order:
            now = {name: start[name] + (now[name] - start[name]).detach() for name in now}
        return now

    def adapt_many(self, x: Tensor, membership: Tensor, *, first_order: bool = False) -> Parameters:
        """:meth:`adapt` for each of ``e`` tasks ``(e, n, ...)`` of one membership."""
        return vmap(lambda shown: self.adapt(shown, membership, first_order=first_order))(x)

    def embed_many(self, parameters: Parameters, x: Tensor) -> Tensor:
        """:meth:`embed` for each of ``e`` tasks: ``(e, b, ...)`` to ``(e, b, dim)``."""
        return vmap(self.embed)(parameters, x)

    def compare_many(self, parameters: Parameters, embedded: Tensor) -> Tensor:
        """:meth:`compare` for each of ``e`` tasks: ``(e, b, dim)`` to ``(e, b, n_way)``."""
        return vmap(self.compare)(parameters, embedded)

    def answer(
        self, support: Tensor, membership: Tensor, queries: Tensor, *, first_order: bool = False
    ) -> Tensor:
        """Cosines with the rows of many tasks at once, each adapted to its own support set.

        Args:
            support: ``(e, n, ...)``.
            membership: ``(n, n_way)``, the same for every task.
            queries: ``(e, q, ...)``.
            first_order: see :meth:`adapt`.

        Returns:
            ``(e, q, n_way)``.
        """
        adapted = self.adapt_many(support, membership, first_order=first_order)
        return self.compare_many(adapted, self.embed_many(adapted, queries))

    def _stepped(
        self, now: Parameters, x: Tensor, membership: Tensor, moved: tuple[str, ...]
    ) -> Parameters:
        def loss(parameters: Parameters) -> Tensor:
            cosines = self.compare(now | parameters, self.embed(now | parameters, x))
            log_p = (self.inner.scale * cosines).log_softmax(1)
            return -(log_p * membership).sum(0).mean()  # the mean over a class, then over classes

        # The mean over classes leaves each row 1/n_way of its own pictures' gradient.
        row_rate = self.inner.row_rate * membership.shape[1]
        slopes = grad(loss)({name: now[name] for name in moved})
        return now | {
            name: now[name] - (row_rate if name == ROWS else self.inner.body_rate) * slope
            for name, slope in slopes.items()
        }


class AdaptableConvNet(ConvNet):
    """The convnet for drawings, for MAML: no statistics of a batch, in training either.

    Batch norm uses the running statistics it was trained with, so that a picture's embedding
    depends on that picture alone; its scales and offsets are adapted and trained as any weights.
    """

    def forward(self, x: Tensor) -> Tensor:
        """``(b, size²)`` ink in 0..1 to ``(b, dim)`` unit-norm embeddings."""
        size = self.config.input_size
        # Channels last, as in ConvNet, cannot be had within vmap.
        x = self.blocks(self.stem(x.unflatten(1, (1, size, size))))
        x = F.adaptive_avg_pool2d(x, self.config.grid).flatten(1)
        return F.normalize(self.embed(x), dim=1)

    def train(self, mode: bool = True) -> Self:
        """Batch norm stays as in evaluation."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self
