"""The siamese network of Koch, Zemel and Salakhutdinov, as published."""

from __future__ import annotations

from torch import Tensor, nn

from fewshot.encoders.pair_head import PairHead

SIDE = 105
UNITS = 4096


class Koch(nn.Module):
    """Pairs of ink ``(b, 1, 105, 105)`` in 0..1 to logits of "same class" ``(b,)``.

    Koch, Zemel, Salakhutdinov: Siamese neural networks for one-shot image recognition, ICML deep
    learning workshop 2015, https://www.cs.cmu.edu/~rsalakhu/papers/oneshot1.pdf, figure 4: 64
    kernels of 10×10, 128 of 7×7, 128 of 4×4, 256 of 4×4, each with a ReLU and all but the last
    with 2×2 max-pooling; 4096 sigmoid units; a weighted L1 distance of the twins' units, and a
    sigmoid (here left to the loss): 38,951,745 parameters, at the published initialisation:
    kernels N(0, 0.01), fully connected weights N(0, 0.2), biases N(0.5, 0.01), means and
    standard deviations.

    What it sees differs from the paper: not Omniglot's pictures as they are, but the ink that
    :func:`fewshot.encoders.ink.find_ink` finds in any picture, centred and scaled to 105×105.
    """

    def __init__(self) -> None:
        super().__init__()
        # Pooling before the ReLU gives the same numbers from a quarter of the ReLU's work.
        self.features = nn.Sequential(
            nn.Conv2d(1, 64, 10),  # 105 -> 96
            nn.MaxPool2d(2),
            nn.ReLU(inplace=True),
            nn.Conv2d(64, 128, 7),  # 48 -> 42
            nn.MaxPool2d(2),
            nn.ReLU(inplace=True),
            nn.Conv2d(128, 128, 4),  # 21 -> 18
            nn.MaxPool2d(2),
            nn.ReLU(inplace=True),
            nn.Conv2d(128, 256, 4),  # 9 -> 6
            nn.ReLU(inplace=True),
        )
        self.units = nn.Linear(256 * 6 * 6, UNITS)
        self.head = PairHead(UNITS)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                spread = 0.01 if isinstance(module, nn.Conv2d) else 0.2
                nn.init.normal_(module.weight, 0.0, spread)
                nn.init.normal_(module.bias, 0.5, 0.01)

    def embed(self, ink: Tensor) -> Tensor:
        """``(b, 1, 105, 105)`` to ``(b, 4096)`` in 0..1."""
        return self.units(self.features(ink).flatten(1)).sigmoid()

    def forward(self, ink1: Tensor, ink2: Tensor) -> Tensor:
        """See the class."""
        return self.head(self.embed(ink1), self.embed(ink2))
