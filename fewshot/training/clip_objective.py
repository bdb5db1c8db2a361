"""Pictures and their names, drawn together in one space."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from fewshot.encoders.residual_tower import EARLIER
from fewshot.training.clip_recipe import ClipRecipe
from fewshot.training.glyph_views import DRAWN as GLYPH_DRAWN
from fewshot.training.glyph_views import glyph_views
from fewshot.training.objective import Objective
from fewshot.training.photo_views import DRAWN as PHOTO_DRAWN
from fewshot.training.photo_views import TURNS, mixed_in_pairs, photo_views, turned_by

# What pictures are normalised by; the configuration file tells open_clip the same.
MEAN, STD = (0.48, 0.45, 0.40), (0.28, 0.27, 0.28)
MOST_SCALE = 100.0


@dataclass(frozen=True)
class ClipData:
    """Photos and glyphs to train on, on the device, and every class's texts.

    Classes are numbered nouns first, then symbols.

    Attributes:
        photos: ``(nouns, n, h, w, 3)`` uint8.
        glyphs: ``(g, h, w)`` uint8 ink.
        symbols: ``(g,)`` int64 which symbol each glyph shows, from 0.
        chances: ``(g,)`` float32, how likely each glyph is drawn.
        tokens: ``(texts, context)`` int64, every prompt of every class.
        first: ``(classes + 1,)`` int64: class c's prompts are ``tokens[first[c]:first[c + 1]]``.
        nouns: the first name of each class of photos.
    """

    photos: Tensor
    glyphs: Tensor
    symbols: Tensor
    chances: Tensor
    tokens: Tensor
    first: Tensor
    nouns: tuple[str, ...]

    @property
    def photos_hash(self) -> str:
        """Of the photos, in hexadecimal: a run is resumed on the same ones."""
        content = hashlib.blake2b(digest_size=16)
        for of_noun in self.photos:
            content.update(of_noun.cpu().numpy())
        return content.hexdigest()

    @property
    def device(self) -> torch.device:
        """Where it is."""
        return self.tokens.device

    @property
    def n_nouns(self) -> int:
        """Classes of photos."""
        return len(self.photos)

    @property
    def n_classes(self) -> int:
        """Nouns and symbols."""
        return len(self.first) - 1


class ClipObjective(Objective):
    """Contrast each picture with texts, and each text with the batch's pictures.

    Radford et al.: Learning transferable visual models from natural language supervision, ICML
    2021, https://arxiv.org/abs/2103.00020. As a class has many pictures and many texts, all pairs
    of a class are positives (Yang et al.: Unified contrastive learning, CVPR 2022,
    https://arxiv.org/abs/2204.03610).
    """

    def __init__(self, network: nn.Module, recipe: ClipRecipe, n_classes: int) -> None:
        super().__init__()
        self.network = network
        self.recipe = recipe
        self.width = network.visual.trunk.norms[0].num_features
        self.rows = nn.Parameter(torch.randn(n_classes, self.width))
        self.turn = nn.Linear(self.width, TURNS)
        # Counts steps for the pictures' size, and is saved with the weights.
        self.register_buffer("steps_done", torch.zeros((), dtype=torch.int64))

    def loss(self, data: ClipData, generator: torch.Generator) -> Tensor:
        """See :class:`Objective`."""
        recipe = self.recipe
        side = recipe.side_at(int(self.steps_done))
        self.steps_done += 1
        pictures, targets, turns = _batch(data, recipe, side, generator)
        x = self._trained(self.network.encode_image(pictures))
        classes = _text_classes(data, targets, recipe.texts, generator)
        with _quickest_attention(data.device):
            t = self._trained(self.network.encode_text(_prompts(data, classes, generator)))
        # In use the other part of an embedding adds to its length, but nothing to its likeness.
        in_use = (1 + EARLIER**2) ** -0.5
        scale = self.network.logit_scale.exp().clamp(max=MOST_SCALE) * in_use
        logits = scale * x @ t.T
        same = targets[:, classes]  # (b, texts), one text of each class
        to_text = F.cross_entropy(logits, same, label_smoothing=recipe.smoothing)
        to_pictures = _mean_over_positives(logits.T, same.T)
        rows = recipe.scale * x @ F.normalize(self.rows, dim=1).T
        to_rows = F.cross_entropy(rows, targets, label_smoothing=recipe.smoothing)
        is_noun = targets[:, : data.n_nouns].sum(1) > 0.5
        off_centre = sum(part.mean(0).square().sum() for part in (x[is_noun], x[~is_noun]))
        loss = (to_text + to_pictures) / 2 + recipe.rows * to_rows + recipe.centring * off_centre
        if len(turns):  # of the first pictures
            scores = self.turn(recipe.scale * x[: len(turns)])
            loss = loss + recipe.turns * F.cross_entropy(scores, turns)
        return loss

    def _trained(self, x: Tensor) -> Tensor:
        """The part ``(b, width)`` of embeddings ``(b, dim)`` that is trained, at length 1."""
        return F.normalize(x[:, : self.width].float(), dim=1)

    @torch.no_grad()
    def warm_start(self, data: ClipData) -> None:
        """Start the learned rows at the classes' texts, where trained pictures lie already."""
        self.eval()
        first = data.tokens[data.first[:-1]]
        texts = torch.cat([self.network.encode_text(part) for part in first.split(64)])
        self.rows.copy_(texts[:, : self.width])

    def kept(self) -> dict[str, nn.Module]:
        """The open_clip model."""
        return {"network": self.network}


def normalised(pictures: Tensor) -> Tensor:
    """``(b, 3, h, w)`` in 0..1 to what the image tower takes."""
    mean, std = (pictures.new_tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD))
    return (pictures - mean) / std


def _quickest_attention(device: torch.device) -> AbstractContextManager:
    """On CPUs the fused kernel takes two and a half times as long for heads as narrow as these."""
    return sdpa_kernel(SDPBackend.MATH) if device.type == "cpu" else nullcontext()


def _batch(
    data: ClipData, recipe: ClipRecipe, side: int, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Views of photos and of glyphs, photos first; shares of classes; the first photos' turns."""
    n_glyphs = round(recipe.batch * recipe.glyphs)
    n_photos = recipe.batch - n_glyphs
    device = data.device
    nouns = torch.randint(data.n_nouns, (n_photos,), generator=generator, device=device)
    numbers = torch.randint(data.photos.shape[1], (n_photos,), generator=generator, device=device)
    drawn = torch.rand(n_photos, PHOTO_DRAWN, generator=generator, device=device)
    photos = photo_views(data.photos[nouns, numbers], drawn, recipe.views, side)
    n_turned = round(n_photos * recipe.turned)
    turns = torch.randint(TURNS, (n_turned,), generator=generator, device=device)
    turned = turned_by(photos[:n_turned], turns)
    n_mixed = round((n_photos - n_turned) * recipe.mixed)
    mixed, kept = mixed_in_pairs(photos[n_turned : n_turned + n_mixed], generator)
    glyphs = torch.multinomial(data.chances, n_glyphs, True, generator=generator)
    drawn = torch.rand(n_glyphs, GLYPH_DRAWN, generator=generator, device=device)
    drawings = glyph_views(data.glyphs[glyphs], drawn, side, generator)
    pictures = normalised(torch.cat([turned, mixed, photos[n_turned + n_mixed :], drawings]))
    labels = torch.cat([nouns, data.n_nouns + data.symbols[glyphs]])
    targets = F.one_hot(labels, data.n_classes).float()
    part = targets[n_turned : n_turned + n_mixed]
    part.copy_(torch.lerp(part.flip(0), part, kept.unsqueeze(1)))
    return pictures.contiguous(memory_format=torch.channels_last), targets, turns


def _text_classes(
    data: ClipData, targets: Tensor, n_symbols: int, generator: torch.Generator
) -> Tensor:
    """All nouns, the batch's symbols, and other symbols where those are not ``n_symbols``."""
    scores = torch.rand(data.n_classes, generator=generator, device=data.device)
    scores[: data.n_nouns] += 2
    shown = targets.sum(0) > 0
    scores += 2 * shown
    n_symbols = max(n_symbols, int(shown[data.n_nouns :].sum()))
    return scores.topk(min(data.n_nouns + n_symbols, data.n_classes)).indices


def _prompts(data: ClipData, classes: Tensor, generator: torch.Generator) -> Tensor:
    """One prompt of each class: ``(texts, context)`` tokens."""
    first, end = data.first[classes], data.first[classes + 1]
    chosen = torch.rand(len(classes), generator=generator, device=data.device)
    return data.tokens[first + (chosen * (end - first)).long()]


def _mean_over_positives(logits: Tensor, same: Tensor) -> Tensor:
    """Cross-entropy of each row that has positives, which share its target by their own shares."""
    has = same.any(1)
    logits, same = logits[has], same[has]
    return F.cross_entropy(logits, same / same.sum(1, keepdim=True))


def flat_prompts(texts: Sequence[Sequence[str]]) -> tuple[list[str], Tensor]:
    """Every class's texts in one list, and where each class begins: ``(classes + 1,)``."""
    lengths = torch.tensor([0, *(len(names) for names in texts)])
    return [text for names in texts for text in names], lengths.cumsum(0)
