"""What the embedded CLIP is trained and validated on, from files to tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from fewshot.class_logits import cosine_prototype_logits, grid_membership
from fewshot.data.glyphs import Glyphs, render
from fewshot.data.photos import Photos, load_photos, split_photos
from fewshot.data.symbols import Symbol, symbols
from fewshot.device import autocast
from fewshot.episodes import Episode, Protocol, draw_episodes
from fewshot.prompts import prompts_of, templates
from fewshot.training.clip_objective import ClipData, ClipObjective, flat_prompts, normalised
from fewshot.training.glyph_views import DRAWN as GLYPH_DRAWN
from fewshot.training.glyph_views import glyph_views

NOUN_TEMPLATES = ("photo", "close-up", "plain")
SYMBOL_TEMPLATES = ("drawing", "plain")
# A font like handwriting is drawn this many times as often as a printed one.
HAND_CHANCE = 3.0
# Pictures of each held-out class that few-shot validation looks at.
FEW_SHOT_PICTURES = 100
EPISODES = 600
BATCH = 256

Tokenizer = Callable[[list[str]], Tensor]


def prompts(names: Sequence[str], kinds: Sequence[str]) -> list[str]:
    """Every name in every template of some sets."""
    return prompts_of(names, [template for kind in kinds for template in templates(kind)])


def training_data(
    photos: Photos,
    glyphs: Glyphs,
    signs: Sequence[Symbol],
    tokenizer: Tokenizer,
    device: torch.device,
) -> ClipData:
    """Everything of the training split, on the device."""
    texts, first = flat_prompts(
        [
            *(prompts(names, NOUN_TEMPLATES) for names in photos.names),
            *(prompts(sign.names, SYMBOL_TEMPLATES) for sign in signs),
        ]
    )
    # Each symbol as likely as any other, however many fonts have it.
    weight = np.where(glyphs.hand, HAND_CHANCE, 1.0)
    chances = weight / np.bincount(glyphs.symbol, weight, len(signs))[glyphs.symbol]
    return ClipData(
        torch.from_numpy(np.ascontiguousarray(photos.images)).to(device),
        torch.from_numpy(glyphs.ink).to(device),
        torch.from_numpy(glyphs.symbol).to(device),
        torch.from_numpy(chances).float().to(device),
        tokenizer(texts).to(device),
        first.to(device),
        tuple(names[0] for names in photos.names),
    )


@dataclass(frozen=True)
class ClipValidation:
    """Figures on pictures not trained on: what early choice looks at.

    Attributes:
        pictures: ``(n, 3, side, side)`` float32 in 0..1 by task: "nouns", "symbols", "few-shot".
        labels: ``(n,)`` int64 by task.
        tokens: ``(classes, texts, context)`` by task that has names.
        letters: how many symbols, from the first, are the Latin letters.
        episodes: by protocol name, over the few-shot pictures.
    """

    pictures: dict[str, Tensor]
    labels: dict[str, Tensor]
    tokens: dict[str, Tensor]
    letters: int
    episodes: dict[str, list[Episode]]

    @torch.no_grad()
    def __call__(self, objective: ClipObjective) -> dict[str, float]:
        """Accuracies of zero-shot and of few-shot prototypes, and their mean as "score"."""
        objective.eval()
        network = objective.network
        x = {name: _embed(network.encode_image, part) for name, part in self.pictures.items()}
        figures = {}
        for name, tokens in self.tokens.items():
            texts = _embed(network.encode_text, tokens.flatten(0, 1))
            texts = F.normalize(texts.view(*tokens.shape[:2], -1).mean(1), dim=1)
            cosines, labels = x[name] @ texts.T, self.labels[name]
            figures[name] = _accuracy(cosines, labels)
            if name == "symbols":
                letters = labels < self.letters
                figures["letters"] = _accuracy(cosines[letters][:, : self.letters], labels[letters])
        for name, episodes in self.episodes.items():
            figures[name] = _few_shot_accuracy(x["few-shot"].cpu(), episodes)
        return figures | {"score": sum(figures.values()) / len(figures)}


def validation_data(
    photos: Photos,
    few_shot: Photos,
    glyphs: Glyphs,
    signs: Sequence[Symbol],
    tokenizer: Tokenizer,
    device: torch.device,
) -> ClipValidation:
    """Held-out pictures of trained nouns, held-out classes, and held-out fonts."""
    generator = torch.Generator().manual_seed(0)
    drawn = torch.rand(len(glyphs.ink), GLYPH_DRAWN, generator=generator)
    side = photos.images.shape[2]
    drawings = glyph_views(torch.from_numpy(glyphs.ink), drawn, side, generator)
    kept = Photos(few_shot.images[:, :FEW_SHOT_PICTURES], few_shot.names)
    labels = np.arange(len(kept.names)).repeat(kept.images.shape[1])
    episodes = {
        f"{shots}-shot": list(draw_episodes(labels, Protocol(5, shots, 3), EPISODES, seed=shots))
        for shots in (1, 5)
    }
    n = photos.images.shape[1]
    return ClipValidation(
        {
            "nouns": _floats(photos).to(device),
            "symbols": drawings.to(device),
            "few-shot": _floats(kept).to(device),
        },
        {
            "nouns": torch.arange(len(photos.names)).repeat_interleave(n).to(device),
            "symbols": torch.from_numpy(glyphs.symbol).to(device),
            "few-shot": torch.from_numpy(labels).to(device),
        },
        {
            "nouns": _tokens([names[0] for names in photos.names], "photo", tokenizer, device),
            "symbols": _tokens([sign.names[0] for sign in signs], "drawing", tokenizer, device),
        },
        26,
        episodes,
    )


def load_clip_data(
    folder: Path, tokenizer: Tokenizer, device: torch.device
) -> tuple[ClipData, ClipValidation]:
    """Photos of a folder and glyphs of this machine's fonts, to train on and to choose by.

    Raises:
        InputError: the photos or the fonts are missing.
    """
    photos, signs = load_photos(folder), symbols()
    data = training_data(
        split_photos(photos, "training"), render(signs, ("hand", "print")), signs, tokenizer, device
    )
    validation = validation_data(
        split_photos(photos, "unseen-validation"),
        split_photos(photos, "validation"),
        render(signs, ("held_out",)),
        signs,
        tokenizer,
        device,
    )
    return data, validation


def _tokens(names: Sequence[str], kind: str, tokenizer: Tokenizer, device: torch.device) -> Tensor:
    tokens = tokenizer([text for name in names for text in prompts([name], [kind])])
    return tokens.view(len(names), -1, tokens.shape[1]).to(device)


def _floats(photos: Photos) -> Tensor:
    images = torch.from_numpy(np.ascontiguousarray(photos.images)).flatten(0, 1)
    return images.permute(0, 3, 1, 2).float() / 255


def _embed(encode: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
    parts = inputs.split(BATCH)
    with autocast(inputs.device):
        x = [encode(normalised(p) if p.is_floating_point() else p) for p in parts]
    return F.normalize(torch.cat(x).float(), dim=1)


def _accuracy(cosines: Tensor, labels: Tensor) -> float:
    return float((cosines.argmax(1) == labels).float().mean())


def _few_shot_accuracy(x: Tensor, episodes: Sequence[Episode]) -> float:
    """Of cosine prototypes, over episodes of one protocol, whose support is grouped by class."""
    ways, shown = len(episodes[0].classes), len(episodes[0].support)
    support = x[np.stack([episode.support for episode in episodes])]  # (e, ways * shots, d)
    queries = x[np.stack([episode.queries for episode in episodes])]  # (e, q, d)
    logits = cosine_prototype_logits(queries, support, grid_membership(ways, shown // ways), 1.0)
    truth = np.stack([episode.query_labels for episode in episodes])
    return float((logits.argmax(2).numpy() == truth).mean())
