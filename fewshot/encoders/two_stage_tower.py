"""The embedded CLIP's image tower: timm's, whose last two stages' features are the embedding.

Registered with timm under :data:`NAME`, so that open_clip builds and loads it like any other.
"""

from __future__ import annotations

import timm
import torch
import torch.nn.functional as F
from timm.models import register_model
from torch import Tensor, nn

NAME = "cs3darknet_focus_s_two_stages"
TRUNK = "cs3darknet_focus_s"


class TwoStageTower(nn.Module):
    """Pictures ``(b, 3, h, w)`` to embeddings ``(b, num_features)``, the last stage's part first.

    Differs from the trunk (Wang et al.: CSPNet, CVPR workshops 2020,
    https://arxiv.org/abs/1911.11929, after YOLOv5) in two ways, for small pictures and few shots:

    - The last stage does not halve the resolution, but dilates its kernels: 64 pixels end at 4×4
      places rather than 2×2.
    - No linear layer makes an embedding of the pooled features; they are it themselves, each
      number standardised by its running mean and variance. Those of the stage before the last,
      less bound to the classes trained on, are the second part; both parts have the same length.
    """

    def __init__(self) -> None:
        super().__init__()
        trunk = timm.create_model(TRUNK, num_classes=0, output_stride=16)
        self.stem, self.stages = trunk.stem, trunk.stages
        widths = [stage["num_chs"] for stage in trunk.feature_info[-2:]]
        self.norms = nn.ModuleList(nn.BatchNorm1d(n, affine=False) for n in reversed(widths))
        self.num_features = sum(widths)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        return self.from_last_stage(self.stages[:-1](self.stem(x)))

    def from_last_stage(self, earlier: Tensor) -> Tensor:
        """Embeddings of what the stage before the last made of pictures ``(b, c, h, w)``."""
        last = self.stages[-1](earlier)
        parts = [
            F.normalize(norm(stage.mean((2, 3)).float()), dim=1)
            for norm, stage in zip(self.norms, (last, earlier), strict=True)
        ]
        return torch.cat(parts, 1)


@register_model
def cs3darknet_focus_s_two_stages(pretrained: bool = False, **_: object) -> TwoStageTower:
    """What timm calls for :data:`NAME`; there are no pre-trained weights to ask for."""
    return TwoStageTower()
