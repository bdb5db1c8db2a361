"""Everything that determines the training of the embedded CLIP, as data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from fewshot.encoders.residual_tower import NAME, WIDTHS
from fewshot.training.photo_views import PhotoViews
from fewshot.training.recipe import RunRecipe

# open_clip's own kind of configuration. The table of 49,408 tokens at width 32 takes 3.2 MB in
# fp16, which leaves a 10 MB file 3.2 million parameters for the image tower.
ARCHITECTURE: dict[str, Any] = {
    "embed_dim": sum(WIDTHS[-2:]),
    "vision_cfg": {
        "image_size": 64,
        "timm_model_name": NAME,
        "timm_model_pretrained": False,
        "timm_pool": "",
        "timm_proj": "none",
    },
    "text_cfg": {
        "context_length": 32,
        "vocab_size": 49408,
        "width": 32,
        "heads": 2,
        "layers": 3,
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
        turned: share of the photos that are turned by none to three quarters of a circle, and asked
            by how much.
        turns: weight of that question.
        mixed: share of the other photos of which a rectangle is another photo's.
    """

    method: str = "clip"
    steps: int = 8_185
    batch: int = 1024
    learning_rate: float = 3e-3
    weight_decay: float = 0.1
    averaging: float = 0.999
    validate_every: int = 600
    glyphs: float = 0.1
    sides: tuple[tuple[float, int], ...] = ((0.31, 48), (0.69, 64))
    texts: int = 96
    smoothing: float = 0.1
    rows: float = 1.0
    centring: float = 2.0
    scale: float = 20.0
    views: PhotoViews = field(default_factory=PhotoViews)
    turned: float = 0.25
    turns: float = 0.5
    mixed: float = 0.5

    def side_at(self, step: int) -> int:
        """Size of the pictures of a step."""
        done = 0.0
        for share, side in self.sides:
            done += share
            if step < done * self.steps:
                return side
        return self.sides[-1][1]


CLIP_RECIPE = ClipRecipe()
# For two CPU cores and 90 minutes. A batch of 256 goes one and a half times as fast there as one
# of 1,024, whose feature maps leave the caches, and gives four times the steps; most views are
# small: 850, 550 and 300 a second at 32, 48 and 64 pixels. Muon takes a tenth more time a step than
# AdamW; after 1,200 steps, on validation classes, it was ahead by 4 points at 1 shot and at 5.
# Fewer turned and mixed photos seem to suit a run so short: with mixed=0.5 and turned=0.25 10,500
# steps of Muon, a tenth fewer, were 2.5 points behind on nouns and 0.6 at telling 5 new classes
# apart, and 12,000 of AdamW 7 and 0.7. Those are evaluation figures, of whole runs alone: what is
# shipped was not chosen by them.
CLIP_RECIPE_ON_CPU = ClipRecipe(
    steps=11_500,
    batch=256,
    optimizer="muon",
    learning_rate=3e-3,
    validate_every=2_000,
    sides=((0.55, 32), (0.3, 48), (0.15, 64)),
    turned=0.15,
    mixed=0.3,
)
