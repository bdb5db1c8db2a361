"""What is known of pictures in general, where a class has hardly any of its own."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def drawn_to_known(rows: Tensor, known: Tensor, weight: float, sharpness: float) -> Tensor:
    """Prototypes moved towards the classes that the encoder was trained on and that lie near.

    A single picture shows its class from one side; near classes tell what else is likely. After
    the calibrated means of Yang, Liu, Xu: Free lunch for few-shot learning: distribution
    calibration, ICLR 2021, https://arxiv.org/abs/2101.06395, who take the nearest two where all
    have a say here, the nearer the more.

    Args:
        rows: ``(…, n_way, d)`` unit-norm prototypes.
        known: ``(c, d)`` unit-norm means of the classes trained on.
        weight: of what is known beside the prototype, which has 1.
        sharpness: factor on the cosines in the softmax that says how near they are.
    """
    near = (sharpness * rows @ known.T).softmax(-1) @ known
    return F.normalize(rows + weight * F.normalize(near, dim=-1), dim=-1)
