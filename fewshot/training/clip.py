"""From photos and fonts to the embedded CLIP: a folder that open_clip loads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor, nn

from fewshot import __version__
from fewshot.atomic_write import write_atomically
from fewshot.class_logits import cosine_prototype_logits
from fewshot.data.symbols import symbols
from fewshot.device import best_device
from fewshot.encoders.base import Encoder
from fewshot.encoders.clip import enlarged, load_clip
from fewshot.encoders.clip_models import CARD_FILE, CONFIG_FILE, MEANS_FILE, WEIGHTS_FILE, find_clip
from fewshot.encoders.weights import half_precision, load_weights, plain, sha256
from fewshot.metrics import prototypes
from fewshot.temperature import likeliest_temperature
from fewshot.training.clip_data import ClipValidation, load_clip_data
from fewshot.training.clip_objective import MEAN, STD, ClipData, ClipObjective, normalised
from fewshot.training.clip_recipe import ARCHITECTURE, ClipRecipe
from fewshot.training.loop import Run, begin, outcome
from fewshot.training.session import Session
from fewshot.training.standardise import PHOTOS, standardise
from fewshot.training.timing import seconds_a_step
from fewshot.training.whiten import whiten
from fewshot.types import InputError, Picture

# A run given minutes instead of steps times as many at each size of the pictures.
TIMED_STEPS = 4
# A picture in use is looked at larger than in training, where crops showed things larger (Touvron
# et al.: Fixing the train-test resolution discrepancy, NeurIPS 2019,
# https://arxiv.org/abs/1906.06423), and in parts of a share of its sides: see ClipEncoder. Chosen
# on validation pictures, after training.
ENLARGE = 1.25
CROP = 0.85


def configuration(architecture: dict) -> dict:
    """What open_clip reads beside the weights."""
    return {
        "model_cfg": architecture,
        "preprocess_cfg": {
            "mean": MEAN,
            "std": STD,
            "interpolation": "bicubic",
            "resize_mode": "shortest",
        },
    }


def new_clip(recipe: ClipRecipe, n_classes: int, device: torch.device) -> ClipObjective:
    """The network at random weights by the recipe's seed, and what is trained beside it."""
    import open_clip

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        objective = ClipObjective(open_clip.CLIP(**ARCHITECTURE), recipe, n_classes)
    return objective.to(device, memory_format=torch.channels_last)


def train_clip(recipe: ClipRecipe, session: Session) -> Run:
    """Train the embedded CLIP and write its folder.

    Args:
        recipe: what to do.
        session: its output is the folder to write ``open_clip_config.json``,
            ``open_clip_model.safetensors``, ``card.json`` and ``class_means.safetensors`` to, its
            folder that of the photos, and its initial checkpoint the folder of an earlier run's
            model.

    Raises:
        InputError: data or model cannot be read, or the state is of another recipe.
    """
    import open_clip

    session.check_is_folder()
    device = best_device()
    weights = None if session.initial is None else _weights_of(session.initial)
    tokenizer = open_clip.SimpleTokenizer(context_length=ARCHITECTURE["text_cfg"]["context_length"])
    session.on_part("Reading photos and fonts")
    data, validation = load_clip_data(session.folder, tokenizer, device)
    recipe = session.planned(recipe, lambda: _seconds_a_step(recipe, data))
    objective = new_clip(recipe, data.n_classes, device)
    warm_start = None
    if session.initial is not None:
        _fill(objective.network, weights, session.initial)
        objective.warm_start(data)
        warm_start = _described(session.initial)
    origin = {
        "architecture": ARCHITECTURE,
        "classes": data.n_classes,
        "glyphs": len(data.glyphs),
        "photos": data.photos_hash,
        "warm_start": warm_start,
    }
    run = begin(objective, recipe, origin)
    session.carry_out(run, recipe, data, validation)
    standardise(objective.network.visual.trunk, _plain_photos(data))
    trained_alone(objective)
    unseen = enlarged(validation.pictures["nouns"], ENLARGE)
    whiten(objective.network, normalised(unseen), validation.labels["nouns"])
    card = _card(session.output.name, run, recipe, data.nouns)
    _write(session.output, run, card)
    # By its whole path, as a folder may be called as a model is.
    written = load_clip(find_clip(str(session.output.resolve())))
    card["temperature"] = _temperature(written, validation)
    _write_json(session.output / CARD_FILE, card)
    means = class_means(written, validation.pictures["nouns"], validation.labels["nouns"])
    kept = plain({"means": torch.from_numpy(means).half()})
    write_atomically(session.output / MEANS_FILE, save(kept))
    return run


@torch.no_grad()
def trained_alone(objective: ClipObjective) -> None:
    """Take from the text tower what no loss has seen, and is as it was drawn at the start.

    Texts are compared with the part of pictures' embeddings that the last stage makes; what lies
    beside it would add noise to each likeness.
    """
    objective.network.text_projection[:, objective.width :] = 0


def _plain_photos(data: ClipData) -> Tensor:
    """Some of every class, as they are."""
    each = max(1, PHOTOS // len(data.photos))
    photos = data.photos[:, :each].flatten(0, 1)
    return normalised(photos.permute(0, 3, 1, 2).float() / 255)


def _weights_of(folder: Path) -> dict[str, Tensor]:
    """The model of a folder that a run wrote, in fp32."""
    weights = load_weights(folder / WEIGHTS_FILE)
    return {k: v.float() if v.is_floating_point() else v for k, v in weights.items()}


def _fill(network: nn.Module, weights: dict[str, Tensor], folder: Path) -> None:
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise InputError(f"{folder} does not hold a model of this run's architecture.") from error


def _described(folder: Path) -> dict:
    """What the card says of the run whose model this one started from."""
    try:
        card = json.loads((folder / CARD_FILE).read_text("utf-8"))
        kept = {key: card[key] for key in ("recipe", "steps_done", "minutes", "device")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder / CARD_FILE} is not a card of train clip.") from error
    return {"sha256": sha256(folder / WEIGHTS_FILE), **kept, "warm_start": card.get("warm_start")}


def _seconds_a_step(recipe: ClipRecipe, data: ClipData) -> float:
    """Mean over the run, from a few steps at each size of the pictures."""

    def new(trial: ClipRecipe) -> Run:
        return begin(new_clip(trial, data.n_classes, data.device), trial, {})

    return sum(
        share
        * seconds_a_step(new, recipe.with_changes(sides=((1.0, side),)), data, 1 + TIMED_STEPS)
        for share, side in recipe.sides
    )


def class_means(encoder: Encoder, images: Tensor, labels: Tensor) -> np.ndarray:
    """How an encoder sees classes: ``(c, dim)`` unit-norm means.

    Args:
        encoder: as it is in use.
        images: ``(n, 3, h, w)`` in 0 to 1, best ones that it was not trained on: of those it was
            it thinks less like of new ones.
        labels: ``(n,)`` int64.
    """
    return prototypes(encoder.embed(_pictures(images)), labels.cpu().numpy(), int(labels.max()) + 1)


def _pictures(images: Tensor) -> list[Picture]:
    kept = (images * 255).round().to(torch.uint8)
    return [Picture("", p) for p in kept.permute(0, 2, 3, 1).contiguous().cpu().numpy()]


def _temperature(encoder: Encoder, validation: ClipValidation) -> float:
    """The likeliest of prototypes, from embeddings as the written model makes them in use."""
    x = torch.from_numpy(encoder.embed(_pictures(validation.pictures["few-shot"])))
    n_classes = int(validation.labels["few-shot"].max()) + 1
    return likeliest_temperature(x, n_classes, cosine_prototype_logits)


def _card(name: str, run: Run, recipe: ClipRecipe, nouns: Sequence[str]) -> dict:
    """What people and the encoder are told of the model."""
    network = run.objective.network
    signs = [sign.names[0] for sign in symbols()]
    return {
        "name": name,
        "version": __version__,
        "method": recipe.method,
        "architecture": ARCHITECTURE,
        "parameters": sum(p.numel() for p in network.parameters()),
        "licence": "non-commercial research and education",
        "licence_note": "The weights learned from Tiny ImageNet, which is part of ImageNet, whose "
        "terms limit it to non-commercial research and education.",
        "knows": f"{len(nouns)} nouns, {len(signs)} letters, digits and symbols, in English",
        "does_not_know": "any other word, more than one thing in a picture, and anything that "
        "takes more than 64 × 64 pixels to see",
        "crop": CROP,
        "enlarge": ENLARGE,
        "nouns": list(nouns),
        "symbols": signs,
        "data": {
            "name": "Tiny ImageNet and glyphs of free fonts",
            "source": "Stanford CS231n, from https://image-net.org; Debian's font packages",
        },
        "recipe": recipe.as_dict(),
        "warm_start": run.origin["warm_start"],
        **outcome(run),
    }


def _write(output: Path, run: Run, card: dict) -> None:
    """Configuration and card first: weights never lack them, nor have an earlier model's means."""
    (output / MEANS_FILE).unlink(missing_ok=True)
    weights = run.objective.network.state_dict()
    _write_json(output / CONFIG_FILE, configuration(card["architecture"]))
    _write_json(output / CARD_FILE, card)
    write_atomically(output / WEIGHTS_FILE, save(plain(half_precision(weights))))


def _write_json(path: Path, content: dict) -> None:
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    write_atomically(path, text.encode("utf-8", "backslashreplace"))
