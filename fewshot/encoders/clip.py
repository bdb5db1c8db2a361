"""CLIP through open_clip: an image tower and a text tower with one embedding space.

Radford et al.: Learning transferable visual models from natural language supervision, ICML 2021,
https://arxiv.org/abs/2103.00020. open_clip: Ilharco et al. 2021,
https://github.com/mlfoundations/open_clip. Imported only when a model is first used.
"""

from __future__ import annotations

import copy
import hashlib
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import product
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from fewshot.content_cache import ContentCache
from fewshot.device import autocast, best_device, has_fast_bf16
from fewshot.encoders.base import Box, Encoder, short_hash, view_seed
from fewshot.encoders.clip_models import CONFIG_FILE, MEANS_FILE, WEIGHTS_FILE, ClipFolder
from fewshot.encoders.weights import load_weights, sha256
from fewshot.metrics import normalise
from fewshot.types import InputError, Picture

BATCH = 32
KEPT_TEXT_BYTES = 40 * 2**20  # some 20,000 texts at 512 dimensions
# Cosines of pictures among themselves differ more than those of pictures and texts, which lie apart
# in the space (Liang et al.: Mind the gap, NeurIPS 2022, https://arxiv.org/abs/2203.02053); so they
# need a milder softmax. The share is the embedded model's, whose two temperatures are 11.3 and 30:
# of downloaded models none could be measured here.
PICTURE_SHARE = 0.374
# Weight of the enlarged whole in the mean: it tells more than a corner, which has 1. So has its
# mirror image: photos gain by mirrored looks, while letters bear few of them.
WHOLE = 3.0
LEAST_KEPT = 0.6  # of each side of a picture, in an augmented view of it


class ClipEncoder(Encoder):
    """An open_clip model; pictures and texts to unit-norm embeddings."""

    name = family = "clip"
    reads_text = True

    def __init__(
        self,
        network: torch.nn.Module,
        preprocess: Callable[[Image.Image], torch.Tensor],
        tokenizer: Callable[[list[str]], torch.Tensor],
        *,
        model: str,
        checkpoint: str,
        configuration: str = "",
        licence: str,
        caution: str = "",
        crop: float = 0.0,
        enlarge: float = 1.0,
        temperature: float | None = None,
    ) -> None:
        """Wrap a model that is loaded already; :func:`load_clip` loads one.

        Args:
            network, preprocess, tokenizer: as open_clip makes them.
            model: how it was chosen.
            checkpoint: SHA-256 of its weights.
            configuration: text of the file beside them: parts of it, such as the activation
                function, change embeddings but no weights, so it is in the digest.
            licence: of the weights.
            caution: where not to trust it, one sentence for people.
            crop: a picture's embedding is the weighted mean over the whole, its mirror image and
                its four corners, each of this share of each side (after Krizhevsky et al., NeurIPS
                2012), two of them mirrored; 0 takes the whole alone, as it is.
            enlarge: by how much the whole's sides are then longer than the model asks for; its
                mirror image is enlarged half as much.
            temperature: for pictures among themselves; None takes PICTURE_SHARE of the one learned
                for texts.
        """
        self._device = best_device()
        self._network = _in_own_precision(network.eval().to(self._device), self._device)
        self._preprocess, self._tokenizer = preprocess, tokenizer
        self._texts = ContentCache(KEPT_TEXT_BYTES)
        self.model = model
        self.checkpoint = checkpoint
        # Without the addresses of functions, which are others in each process.
        prepared = re.sub(r" at 0x\w+", "", repr(preprocess))
        looked = f"-looks-whole{WHOLE}-crop{crop}-enlarge{enlarge}" if crop else ""
        made = f"{short_hash(prepared + configuration)}{looked}-views-crop{LEAST_KEPT}"
        self.digest = f"clip-{checkpoint}-{made}"
        self._crop, self._enlarge = crop, enlarge
        self.source = f"open_clip, {model}"
        self.licence = licence
        self.caution = caution
        self.text_temperature = float(network.logit_scale.detach().exp())
        self.temperature = temperature or PICTURE_SHARE * self.text_temperature
        self.dim = self.embed_texts(["a picture"]).shape[1]

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self._device

    @property
    def tower(self) -> torch.nn.Module:
        """The image tower: ``(b, 3, h, w)`` preprocessed pictures to ``(b, dim)``."""
        return self._network.visual

    def with_tower(self, tower: torch.nn.Module, key: str) -> ClipEncoder:
        """The same encoder with another image tower, told apart by a key; this one stays.

        The class means ``known`` stay those of this tower: to make them anew takes the pictures it
        was trained on, and a tower tuned by a few small steps embeds nearly as before (cosines of
        0.999 were seen).
        """
        changed = copy.copy(self)
        network = copy.copy(self._network)
        network._modules = dict(self._network._modules)  # a module's copy shares its parts' table
        network.visual = tower
        changed._network = network
        changed.digest = f"{self.digest}-{key}"
        changed.source = f"{self.source}, last block tuned to the pictures shown"
        return changed

    def embed(self, pictures: Sequence[Picture]) -> np.ndarray:
        """See :class:`Encoder`; the model's own preprocessing."""
        if not self._crop:
            return self._embed(self.pixels(pictures))
        parts = range(0, len(pictures), BATCH)
        return np.concatenate([self._looked_at(pictures[i : i + BATCH]) for i in parts])

    def _looked_at(self, pictures: Sequence[Picture]) -> np.ndarray:
        """Mean embeddings ``(n, dim)`` of several looks at each picture."""
        wholes = torch.stack(list(self.pixels(pictures)))
        mirrored = enlarged(wholes, (1 + self._enlarge) / 2).flip(-1)
        corners = self._embed(self._corners(pictures)).reshape(-1, 4, self.dim)
        return normalise(
            WHOLE * self._embed(enlarged(wholes, self._enlarge))
            + self._embed(mirrored)
            + corners.sum(1)
        )

    def _corners(self, pictures: Sequence[Picture]) -> Iterator[torch.Tensor]:
        """Each picture's four corners, the second and the third mirrored."""
        for picture in pictures:
            first, second, third, fourth = map(self._preprocess, _corners(picture, self._crop))
            yield from (first, second.flip(-1), third.flip(-1), fourth)

    def region(self, picture: Picture) -> Box:
        """See :class:`Encoder`: what the preprocessing leaves of a long picture, or its corners."""
        height, width = picture.pixels.shape[:2]
        steps = getattr(self._preprocess, "transforms", ())
        if not any(type(step).__name__ == "CenterCrop" for step in steps):
            return super().region(picture)
        cut = int((self._crop or 1.0) * abs(width - height) / 2)
        if width > height:
            return 0, height, cut, width - cut
        return cut, height - cut, 0, width

    def embed_views(self, pictures: Sequence[Picture], n_views: int) -> np.ndarray:
        """See :class:`Encoder`: random crops."""
        return self._embed(self.view_pixels(pictures, n_views)).reshape(
            len(pictures), n_views, self.dim
        )

    def pixels(self, pictures: Sequence[Picture]) -> Iterator[torch.Tensor]:
        """What the image tower takes for each picture: ``(3, h, w)``."""
        return (self._preprocess(Image.fromarray(picture.pixels)) for picture in pictures)

    def view_pixels(self, pictures: Sequence[Picture], n_views: int) -> Iterator[torch.Tensor]:
        """The same for each view of each picture, a picture's views one after the other."""
        views = (view for picture in pictures for view in _crops(picture, n_views))
        return (self._preprocess(view) for view in views)

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """See :class:`Encoder`; texts seen before cost nothing."""
        keys = [_key_of(text) for text in texts]
        rows = self._texts.get(keys, lambda new: self._embed_texts([texts[i] for i in new]))
        return np.stack(rows)

    @torch.inference_mode()
    def _embed(self, images: Iterable[torch.Tensor]) -> np.ndarray:
        parts, images = [], iter(images)
        while batch := list(itertools.islice(images, BATCH)):
            batch = torch.stack(batch)
            with autocast(self._device):
                x = self._network.encode_image(batch.to(self._device))
            parts.append(F.normalize(x.float(), dim=1).cpu())
        return torch.cat(parts).numpy()

    @torch.inference_mode()
    def _embed_texts(self, texts: list[str]) -> list[np.ndarray]:
        parts: list[np.ndarray] = []
        for start in range(0, len(texts), BATCH):
            tokens = self._tokenizer(texts[start : start + BATCH]).to(self._device)
            with autocast(self._device):
                x = self._network.encode_text(tokens)
            # Copies: of a view that is kept the whole batch would stay.
            parts.extend(row.copy() for row in F.normalize(x.float(), dim=1).cpu().numpy())
        return parts


def _key_of(text: str) -> bytes:
    """Its hash: what is kept for all visitors does not hold what one of them typed."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _in_own_precision(network: torch.nn.Module, device: torch.device) -> torch.nn.Module:
    """Itself, its weights changed to bf16 where a transformer runs on a CPU that computes in it.

    Under autocast alone they are converted anew in each pass, which on a CPU can take longer than
    the pass: ``python -m fewshot bench classify`` compares with fp32.
    """
    if device.type == "cpu" and has_fast_bf16("cpu") and hasattr(network.visual, "transformer"):
        from open_clip.model import convert_weights_to_lp

        convert_weights_to_lp(network, torch.bfloat16)
    return network


def enlarged(images: torch.Tensor, factor: float) -> torch.Tensor:
    """Images ``(b, c, h, w)`` with sides longer by a factor."""
    return F.interpolate(images, scale_factor=factor, mode="bicubic", antialias=True)


def _corners(picture: Picture, share: float) -> list[Image.Image]:
    """The two corners on the left and the two on the right, each of a share of the sides."""
    image = Image.fromarray(picture.pixels)
    width, height = (max(1, round(share * side)) for side in image.size)
    places = product((0, image.width - width), (0, image.height - height))
    return [image.crop((x, y, x + width, y + height)) for x, y in places]


def _crops(picture: Picture, n_views: int) -> list[Image.Image]:
    """Views that keep at least LEAST_KEPT of each side.

    Not their mirror images: to learn that they are the same class gains photos nothing, and where
    the pictures are signs, a mirrored b is a d.
    """
    image = Image.fromarray(picture.pixels)
    rng = np.random.default_rng(view_seed(picture))
    views = []
    for share, x, y in rng.random((n_views, 3)):
        kept = LEAST_KEPT + (1 - LEAST_KEPT) * share
        width, height = max(1, int(kept * image.width)), max(1, int(kept * image.height))
        left, top = int(x * (image.width - width)), int(y * (image.height - height))
        views.append(image.crop((left, top, left + width, top + height)))
    return views


def load_clip(folder: ClipFolder) -> ClipEncoder:
    """Load the model of a folder.

    Args:
        folder: from :func:`fewshot.encoders.clip_models.find_clip`.

    Raises:
        InputError: the weights are broken, or not of the configuration beside them.
    """
    import open_clip

    import fewshot.encoders.residual_tower  # noqa: F401 - makes the embedded model's tower known

    model = f"local-dir:{folder.path}"
    try:
        network, _, preprocess = open_clip.create_model_and_transforms(model)
        tokenizer = open_clip.get_tokenizer(model)
    # open_clip and what it calls raise all kinds for a file that is not what it should be.
    except Exception as error:
        raise InputError(
            f"The CLIP model {folder.name} cannot be loaded: its weights are broken or do not fit "
            f"its configuration ({type(error).__name__}); download or copy it again."
        ) from error
    encoder = ClipEncoder(
        network,
        preprocess,
        tokenizer,
        model=folder.name,
        checkpoint=sha256(folder.path / WEIGHTS_FILE),
        configuration=(folder.path / CONFIG_FILE).read_text("utf-8"),
        licence=folder.licence,
        caution=folder.caution,
        crop=folder.crop,
        enlarge=folder.enlarge,
        temperature=folder.temperature,
    )
    encoder.known = _known(folder.path / MEANS_FILE, encoder.dim)
    return encoder


def _known(path: Path, dim: int) -> np.ndarray | None:
    """The class means of a file, unit-norm; None where there is none.

    Raises:
        InputError: it is of another model, or broken.
    """
    if not path.exists():
        return None
    means = load_weights(path).get("means")
    if means is None or means.ndim != 2 or means.shape[1] != dim or not means.isfinite().all():
        raise InputError(f"{path} does not fit the model beside it: copy both anew.")
    return normalise(means.float().numpy())
