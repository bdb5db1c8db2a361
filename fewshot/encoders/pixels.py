"""No encoder at all: the raw ink, against which every trained one must show its worth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from fewshot.encoders.base import Encoder
from fewshot.metrics import normalise
from fewshot.types import Picture

SIDE = 105  # Omniglot's own


class PixelEncoder(Encoder):
    """The picture's darkness at 105×105, flattened and scaled to unit length.

    Neither centred nor inverted: the pixel baseline of the literature looks at drawings as they
    are, so it is meant for dark ink on light paper. An empty picture embeds to zeros.
    """

    name = family = "pixels"
    dim = SIDE * SIDE
    digest = "pixels-1"
    source = "no weights"
    licence = "MIT"
    temperature = 16.0

    def embed(self, pictures: Sequence[Picture]) -> np.ndarray:
        """See :class:`Encoder`."""
        return normalise(np.stack([_ink(picture) for picture in pictures]))

    def embed_views(self, pictures: Sequence[Picture], n_views: int) -> np.ndarray:
        """The pictures themselves, repeated: pixels are compared as they are."""
        return np.repeat(self.embed(pictures)[:, None], n_views, axis=1)


def _ink(picture: Picture) -> np.ndarray:
    grey = picture.pixels.astype(np.float32).mean(2)
    if grey.shape != (SIDE, SIDE):
        grey = np.asarray(Image.fromarray(grey).resize((SIDE, SIDE), Image.Resampling.BOX))
    return (1 - grey / 255).ravel()
