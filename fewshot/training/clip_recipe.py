"""Everything that determines the training of the embedded CLIP, as data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from fewshot.encoders.two_stage_tower import NAME as TWO_STAGES
from fewshot.training.photo_views import PhotoViews
from fewshot.training.recipe import RunRecipe

# open_clip's own kind of configuration. The table of 49,408 tokens at width 40 takes 4 MB in fp16,
# which leaves a 10 MB file 2.8 million parameters for the image tower.
ARCHITECTURE: dict[str, Any] = {
    "embed_dim": 256,
    "vision_cfg": {
        "image_size": 64,
        "timm_model_name": "cs3darknet_focus_s",
        "timm_model_pretrained": False,
        "timm_pool": "avg",
        "timm_proj": "linear",
        # With a bias the embeddings' mean can be brought to 0.
        "timm_proj_bias": True,
    },
    "text_cfg": {
        "context_length": 32,
        "vocab_size": 49408,
        "width": 40,
        "heads": 2,
        "layers": 3,
    },
}
# The last run's: finer, and without a layer that makes an embedding of the features.
TWO_STAGE_ARCHITECTURE: dict[str, Any] = ARCHITECTURE | {
    "embed_dim": 768,
    "vision_cfg": {
        "image_size": 64,
        "timm_model_name": TWO_STAGES,
        "timm_model_pretrained": False,
        "timm_pool": "",
        "timm_proj": "none",
    },
}


@dataclass(frozen=True)
class ClipRecipe(RunRecipe):
    """A contrastive run on photos and glyphs.

    Attributes:
        method: "clip".
        glyphs: share of a batch that are glyphs.
        sides: picture sizes by the share of the run each is trained at: small ones first, since a
            quarter of the pixels take a quarter of the time.
        texts: symbols, beside all nouns, whose texts each step has.
        smoothing: label smoothing.
        rows: weight of a cosine softmax over learned rows, dropped afterwards: text embeddings
            span few dimensions, rows let the image tower use all of its own.
        centring: weight of the squared length of the embeddings' mean, photos and glyphs apart.
        scale: factor on the cosines to learned rows.
        views: ranges of the photos' random views.
        two_stages: train the two-stage tower, by its last stage's features alone: those of the
            stage before it are to stay less bound to the classes trained on.
    """

    method: str = "clip"
    steps: int = 4_678
    learning_rate: float = 2e-3
    validate_every: int = 1000
    glyphs: float = 0.25
    sides: tuple[tuple[float, int], ...] = ((0.244, 32), (0.5, 48), (0.256, 64))
    texts: int = 96
    smoothing: float = 0.1
    rows: float = 1.0
    centring: float = 2.0
    scale: float = 20.0
    views: PhotoViews = field(default_factory=PhotoViews)
    two_stages: bool = False

    @property
    def architecture(self) -> dict[str, Any]:
        """What open_clip builds the network from."""
        return TWO_STAGE_ARCHITECTURE if self.two_stages else ARCHITECTURE

    def side_at(self, step: int) -> int:
        """Size of the pictures of a step."""
        done = 0.0
        for share, side in self.sides:
            done += share
            if step < done * self.steps:
                return side
        return self.sides[-1][1]


# From random weights.
CLIP_RECIPE = ClipRecipe()
# From that run's weights (--init): fewer glyphs, which were learned first, milder views, and no
# 32 pixels, of which this tower's stride leaves one place.
WARM_CLIP_RECIPE = ClipRecipe(
    steps=5_200,
    learning_rate=1.5e-3,
    glyphs=0.1,
    sides=((0.35, 48), (0.4, 56), (0.25, 64)),
    texts=64,
    smoothing=0.05,
    views=PhotoViews(area=0.45, colour=0.25),
)
# From that run's weights (--init, --two-stages).
TWO_STAGE_RECIPE = ClipRecipe(
    steps=3_600,
    learning_rate=1e-3,
    glyphs=0.1,
    sides=((0.4, 48), (0.6, 64)),
    texts=64,
    smoothing=0.05,
    views=PhotoViews(area=0.4, colour=0.25),
    two_stages=True,
)
