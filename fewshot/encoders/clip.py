"""CLIP through open_clip: an image tower and a text tower with one embedding space.

Radford et al.: Learning transferable visual models from natural language supervision, ICML 2021,
https://arxiv.org/abs/2103.00020. open_clip: Ilharco et al. 2021,
https://github.com/mlfoundations/open_clip. Imported only when a model is first used.
"""

from __future__ import annotations

import functools
import threading
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageOps

from fewshot.device import autocast, best_device
from fewshot.encoders.base import Encoder, view_seed
from fewshot.encoders.clip_models import WEIGHTS_FILE, ClipFolder
from fewshot.encoders.weights import sha256
from fewshot.types import InputError, Picture

BATCH = 32
KEPT_TEXTS = 20_000  # at 512 dimensions some 40 MB


class ClipEncoder(Encoder):
    """An open_clip model from a folder; pictures and texts to unit-norm embeddings."""

    reads_text = True

    def __init__(self, folder: ClipFolder) -> None:
        """Load a model.

        Args:
            folder: from :func:`fewshot.encoders.clip_models.find_clip`.

        Raises:
            InputError: the weights are broken, or not of the configuration beside them.
        """
        import open_clip

        model = f"local-dir:{folder.path}"
        try:
            network, _, self._preprocess = open_clip.create_model_and_transforms(model)
            self._tokenizer = open_clip.get_tokenizer(model)
        # open_clip and what it calls raise all kinds for a file that is not what it should be.
        except Exception as error:
            raise InputError(
                f"The CLIP model {folder.name} cannot be loaded: its weights are broken or do not "
                f"fit its configuration ({type(error).__name__}); download or copy it again."
            ) from error
        self._device = best_device()
        self._network = network.eval().to(self._device)
        self._texts: OrderedDict[str, np.ndarray] = OrderedDict()
        self._lock = threading.Lock()
        self.name = "clip"
        self.model = folder.name
        self.digest = f"clip-{sha256(folder.path / WEIGHTS_FILE)}"
        self.source = f"open_clip, {folder.name}"
        self.licence = folder.licence
        self.temperature = float(self._network.logit_scale.detach().exp())
        self.dim = self.embed_texts(["a picture"]).shape[1]

    def embed(self, pictures: Sequence[Picture]) -> np.ndarray:
        """See :class:`Encoder`; the model's own preprocessing."""
        return self._embed([Image.fromarray(picture.pixels) for picture in pictures])

    def embed_views(self, pictures: Sequence[Picture], n_views: int) -> np.ndarray:
        """See :class:`Encoder`: random crops, mirrored half the time."""
        views = [view for picture in pictures for view in _crops(picture, n_views)]
        return self._embed(views).reshape(len(pictures), n_views, self.dim)

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """See :class:`Encoder`; texts seen before cost nothing."""
        with self._lock:
            known = {text: self._texts[text] for text in texts if text in self._texts}
        new = list(dict.fromkeys(text for text in texts if text not in known))
        known.update(zip(new, self._embed_new_texts(new), strict=True))
        with self._lock:
            for text in texts:
                self._texts[text] = known[text]
                self._texts.move_to_end(text)
            while len(self._texts) > KEPT_TEXTS:
                self._texts.popitem(last=False)
        return np.stack([known[text] for text in texts])

    @torch.inference_mode()
    def _embed(self, images: list[Image.Image]) -> np.ndarray:
        parts = []
        for start in range(0, len(images), BATCH):
            batch = torch.stack([self._preprocess(i) for i in images[start : start + BATCH]])
            with autocast(self._device):
                x = self._network.encode_image(batch.to(self._device), normalize=True)
            parts.append(x.float().cpu())
        return torch.cat(parts).numpy()

    @torch.inference_mode()
    def _embed_new_texts(self, texts: list[str]) -> list[np.ndarray]:
        parts: list[np.ndarray] = []
        for start in range(0, len(texts), BATCH):
            tokens = self._tokenizer(texts[start : start + BATCH]).to(self._device)
            with autocast(self._device):
                x = self._network.encode_text(tokens, normalize=True)
            parts.extend(x.float().cpu().numpy())
        return parts


def _crops(picture: Picture, n_views: int) -> list[Image.Image]:
    """Views that keep at least 60% of each side."""
    image = Image.fromarray(picture.pixels)
    rng = np.random.default_rng(view_seed(picture))
    views = []
    for share, x, y, mirror in rng.random((n_views, 4)):
        kept = 0.6 + 0.4 * share
        width, height = max(1, int(kept * image.width)), max(1, int(kept * image.height))
        left, top = int(x * (image.width - width)), int(y * (image.height - height))
        view = image.crop((left, top, left + width, top + height))
        views.append(ImageOps.mirror(view) if mirror < 0.5 else view)
    return views


@functools.lru_cache(maxsize=2)
def load_clip(folder: ClipFolder) -> ClipEncoder:
    """The encoder of a folder, loaded once."""
    return ClipEncoder(folder)
