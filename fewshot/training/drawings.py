"""From Omniglot's files to a checkpoint and its card."""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fewshot import __version__
from fewshot.atomic_write import write_atomically
from fewshot.data.cache import cache_folder, load_array
from fewshot.data.omniglot import Omniglot, find_split, load_omniglot, split_alphabets
from fewshot.device import best_device
from fewshot.encoders.convnet import ConvNet, ConvNetConfig
from fewshot.encoders.ink import INK_VERSION, find_ink
from fewshot.encoders.weights import (
    half_precision,
    load_card,
    load_weights,
    save_weights,
    sha256,
    without_prefix,
)
from fewshot.training.drawings_objective import DrawingsObjective, TrainingData
from fewshot.training.loop import Run, begin, kept_weights, outcome
from fewshot.training.objectives import OBJECTIVES
from fewshot.training.recipe import Recipe
from fewshot.training.session import Session
from fewshot.training.timing import seconds_a_step
from fewshot.training.validation import ValidationSet, choose_temperature, validation_set
from fewshot.types import InputError

# A run given minutes instead of steps times this many steps first, to plan the rest.
TIMED_STEPS = 20


@dataclass(frozen=True)
class Characters:
    """Training and validation characters, and what the card says of them."""

    train: TrainingData
    validation: ValidationSet
    facts: dict


def omniglot_ink(data: Omniglot, size: int) -> np.ndarray:
    """Every drawing through the encoder's preprocessing: ``(classes, images, size, size)`` uint8.

    Kept in the user's cache by content: it takes half a minute for the background set.
    """
    key = hashlib.blake2b(data.images, digest_size=16).hexdigest()
    kept = cache_folder() / f"ink-{key}-{size}-v{INK_VERSION}.npy"
    if (found := load_array(kept)) is not None:
        return found
    ink = np.stack([find_ink(picture.pixels, size) for picture in data.pool().pictures])
    ink = ink.reshape(*data.images.shape[:2], size, size)
    buffer = io.BytesIO()
    np.save(buffer, ink)
    with contextlib.suppress(OSError):  # a cache that cannot be written costs time only
        write_atomically(kept, buffer.getvalue())
    return ink


def load_characters(
    folder: Path | None,
    size: int,
    held_out_alphabets: int,
    device: torch.device,
    on_part: Callable[[str], None] = lambda what: None,
) -> Characters:
    """The background alphabets on the device, some set aside for validation."""
    find_split("background", folder)  # where there are none, nothing is to be read
    on_part("Reading the drawings")
    data = load_omniglot("background", folder)
    training, held_out = split_alphabets(data.alphabets, held_out_alphabets)
    ink = torch.from_numpy(omniglot_ink(data, size))
    groups = torch.from_numpy(data.alphabets)
    facts = {
        "name": "Omniglot, background alphabets",
        "source": "https://github.com/brendenlake/omniglot",
        "licence": "MIT",
        "hash": hashlib.blake2b(data.images, digest_size=16).hexdigest(),
        "training_characters": len(training),
        "validation_characters": len(held_out),
        "validation_alphabets": sorted({data.alphabet_names[a] for a in data.alphabets[held_out]}),
    }
    return Characters(
        TrainingData(ink[training].to(device), groups[training].to(device)),
        validation_set(TrainingData(ink[held_out].to(device), groups[held_out].to(device))),
        facts,
    )


def begin_drawings(
    recipe: Recipe,
    config: ConvNetConfig,
    data: TrainingData,
    initial: dict[str, Tensor] | None = None,
) -> Run:
    """A run at step 0, on the data's device.

    Args:
        recipe: what to do.
        config: the encoder's architecture, but for what the method and the recipe decide.
        data: characters to train on.
        initial: encoder weights to start from; None starts at random by the recipe's seed.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        chosen = OBJECTIVES[recipe.method]
        objective = chosen(ConvNet(chosen.configured(config, recipe)), recipe, len(data.ink))
    objective.to(data.device)
    if initial is not None:
        needed = objective.encoder.state_dict().keys()  # a feature map has no last layer
        objective.encoder.load_state_dict({k: v for k, v in initial.items() if k in needed})
        objective.warm_start(data)
    return begin(objective, recipe, {"architecture": config.as_dict(), "classes": len(data.ink)})


def train_checkpoint(recipe: Recipe, session: Session) -> Run:
    """Train one drawings encoder and write its checkpoint, card and state.

    Args:
        recipe: what to do.
        session: its folder is Omniglot's.

    Raises:
        InputError: data or checkpoint cannot be read, or the state is of another recipe.
    """
    session.check_is_file()
    device = best_device()
    config, weights, warm_start = recipe.architecture, None, None
    if session.initial is not None:
        config, weights, warm_start = trained_encoder(session.initial)
    characters = load_characters(
        session.folder, config.input_size, recipe.validation_alphabets, device, session.on_part
    )
    new = partial(begin_drawings, config=config, data=characters.train)
    recipe = session.planned(
        recipe, lambda: seconds_a_step(new, recipe, characters.train, TIMED_STEPS)
    )
    run = new(recipe, initial=weights)
    run.origin |= {"warm_start": warm_start, "data": characters.facts}
    session.carry_out(run, recipe, characters.train, characters.validation)
    write_checkpoint(session.output, run, recipe, characters, warm_start)
    return run


def write_checkpoint(
    output: Path, run: Run, recipe: Recipe, characters: Characters, warm_start: dict | None
) -> None:
    """The weights that a run's objective has, as fp16, and their card."""
    card = {
        "name": output.stem,
        "version": __version__,
        "method": recipe.method,
        "architecture": run.objective.encoder.config.as_dict(),
        "parameters": sum(p.numel() for p in run.objective.encoder.parameters()),
        "licence": "MIT",
        "data": characters.facts,
        "recipe": recipe.as_dict(),
        "warm_start": warm_start,
        **_temperature(run.objective, characters.validation),
        **outcome(run, "20-way 1-shot, characters not trained on"),
    }
    save_weights(output, half_precision(kept_weights(run)), card)


def _temperature(objective: DrawingsObjective, validation: ValidationSet) -> dict:
    """For the card; nothing where the method has no use for one."""
    if not objective.has_temperature:
        return {}
    return {"temperature": choose_temperature(objective, validation)}


def trained_encoder(path: Path) -> tuple[ConvNetConfig, dict[str, Tensor], dict]:
    """A drawings checkpoint to start from: architecture, weights, and for the card what it is.

    Raises:
        InputError: it is missing, broken, or not of the architecture its card tells.
    """
    weights, card = without_prefix("encoder", load_weights(path)), load_card(path)
    try:
        config = ConvNetConfig.from_dict(card["architecture"])
        ConvNet(config).load_state_dict(weights)
    except (RuntimeError, TypeError) as error:
        raise InputError(f"{path} and its card do not fit: copy both anew.") from error
    return config, weights, {"checkpoint": path.name, "sha256": sha256(path)}
