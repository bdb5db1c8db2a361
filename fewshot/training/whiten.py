"""A fixed mixing of the embedded CLIP's features, by how pictures of one class differ."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BATCH = 250
# How far to go: 0 leaves the features as they are, 1 makes the pictures of a class differ as much
# in every direction. Chosen on validation classes, after training.
POWER = 0.25
# Added to the variances, as a share of their mean: some directions have nearly none.
SMALLEST_SHARE = 1e-3


@torch.no_grad()
def whiten(network: nn.Module, pictures: Tensor, labels: Tensor) -> None:
    """Shrink the directions in which pictures of the same class differ most.

    Within-class covariance normalisation (Hatch, Kajarekar, Stolcke: Within-class covariance
    normalization for SVM-based speaker recognition, Interspeech 2006,
    https://www.isca-archive.org/interspeech_2006/hatch06_interspeech.html), by a power of the
    covariance. What the text tower makes is mixed by the inverse, which keeps its products with
    the picture features.

    Args:
        network: open_clip's, with :class:`ResidualTower` for its image tower.
        pictures: ``(n, 3, side, side)`` as the tower takes them; best not trained on, as those
            lie closer together than new ones do.
        labels: ``(n,)`` int64, which class each is of.
    """
    tower = network.visual.trunk.eval()
    columns = network.text_projection.split([norm.num_features for norm in tower.norms], 1)
    for norm, of_texts in zip(tower.norms, columns, strict=True):  # undo what may have been done
        of_texts.copy_(of_texts @ norm.whitening)
        norm.whitening.copy_(torch.eye(norm.num_features))
    batches = [tower.parts(tower.before_last_stage(x)) for x in pictures.split(BATCH)]
    parts_of = zip(*batches, strict=True)
    for norm, parts, of_texts in zip(tower.norms, parts_of, columns, strict=True):
        covariance = within_class_covariance(torch.cat(parts), labels)
        norm.whitening.copy_(symmetric_power(covariance, -POWER / 2))
        of_texts.copy_(of_texts @ symmetric_power(covariance, POWER / 2))


def within_class_covariance(x: Tensor, labels: Tensor) -> Tensor:
    """Of ``(n, d)`` features around their classes' means: ``(d, d)``, its mean variance 1."""
    members = F.one_hot(labels).to(x.dtype)  # (n, classes)
    means = (members / members.sum(0)).T @ x
    centred = x - means[labels]
    covariance = centred.T @ centred
    return covariance * (len(covariance) / covariance.trace())


def symmetric_power(covariance: Tensor, power: float) -> Tensor:
    """A symmetric positive matrix raised to a power, its smallest variances first lifted."""
    variances, directions = torch.linalg.eigh(covariance)
    lifted = variances.clamp_min(0) + SMALLEST_SHARE * variances.mean()
    return directions * lifted.pow(power) @ directions.T
