"""From Omniglot's files to a checkpoint and its card."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from fewshot import __version__
from fewshot.data.cache import cache_folder, write_atomically
from fewshot.data.omniglot import Omniglot, load_omniglot
from fewshot.device import best_device
from fewshot.encoders.convnet import ConvNet, ConvNetConfig
from fewshot.encoders.ink import INK_VERSION, find_ink
from fewshot.encoders.weights import (
    load_card,
    load_weights,
    save_weights,
    sha256,
    without_prefix,
)
from fewshot.training.checkpoint import planned_steps, state_path
from fewshot.training.loop import Progress, Run, describe_device, kept_weights, start, train
from fewshot.training.objectives import TrainingData
from fewshot.training.recipe import Recipe
from fewshot.training.timing import seconds_a_step, steps_in
from fewshot.training.validation import (
    ValidationSet,
    choose_temperature,
    split_alphabets,
    validation_set,
)
from fewshot.types import InputError

# A run given minutes instead of steps times this many steps first, to plan the rest.
TIMED_STEPS = 20


@dataclass(frozen=True)
class Characters:
    """Training and validation characters, and what the card says of them."""

    train: TrainingData
    validation: ValidationSet
    facts: dict


def ink_of(data: Omniglot, size: int) -> np.ndarray:
    """Every drawing through the encoder's preprocessing: ``(classes, images, size, size)`` uint8.

    Kept in the user's cache by content: it takes half a minute for the background set.
    """
    key = hashlib.blake2b(data.images, digest_size=16).hexdigest()
    kept = cache_folder() / f"ink-{key}-{size}-v{INK_VERSION}.npy"
    if kept.exists():
        return np.load(kept, allow_pickle=False)
    ink = np.stack([find_ink(picture.pixels, size) for picture in data.pool().pictures])
    ink = ink.reshape(*data.images.shape[:2], size, size)
    buffer = io.BytesIO()
    np.save(buffer, ink)
    write_atomically(kept, buffer.getvalue())
    return ink


def load_characters(
    folder: Path | None, size: int, recipe: Recipe, device: torch.device
) -> Characters:
    """The background alphabets on the device, some set aside for validation."""
    data = load_omniglot("background", folder)
    if recipe.validation_alphabets >= len(data.alphabet_names):
        raise InputError(
            f"Keeping {recipe.validation_alphabets} alphabets for validation leaves none of the "
            f"{len(data.alphabet_names)} in the data to train on."
        )
    training, held_out = split_alphabets(data.alphabets, recipe.validation_alphabets)
    ink = torch.from_numpy(ink_of(data, size))
    groups = torch.from_numpy(data.alphabets)
    facts = {
        "name": "Omniglot, background alphabets",
        "source": "https://github.com/brendenlake/omniglot",
        "licence": "MIT",
        "training_characters": len(training),
        "validation_characters": len(held_out),
        "validation_alphabets": sorted({data.alphabet_names[a] for a in data.alphabets[held_out]}),
    }
    return Characters(
        TrainingData(ink[training].to(device), groups[training].to(device)),
        validation_set(TrainingData(ink[held_out].to(device), groups[held_out].to(device))),
        facts,
    )


def train_checkpoint(
    recipe: Recipe,
    output: Path,
    *,
    folder: Path | None = None,
    minutes: float | None = None,
    resume: bool = False,
    initial: Path | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Run:
    """Train one drawings encoder and write its checkpoint, card and state.

    Args:
        recipe: what to do.
        output: weights file to write (``.safetensors``); card and state go beside it.
        folder: where Omniglot is; None downloads it.
        minutes: plan as many steps as this machine does in that time, in place of the recipe's;
            a resumed run keeps to the plan it was started with.
        resume: go on from the state beside ``output``.
        initial: checkpoint whose encoder to start from.
        on_progress: called every few steps.
        should_stop: asked before every step.

    Raises:
        InputError: data or checkpoint cannot be read, or the state is of another recipe.
    """
    if output.suffix != ".safetensors":
        raise InputError(f"The output must be a .safetensors file, and {output} is not.")
    device = best_device()
    config, weights, warm_start = ConvNetConfig(), None, None
    if initial is not None:
        weights, card = load_weights(initial), load_card(initial)
        weights = without_prefix("encoder", weights)
        try:
            config = ConvNetConfig.from_dict(card["architecture"])
            ConvNet(config).load_state_dict(weights)
        except (RuntimeError, TypeError) as error:
            raise InputError(f"{initial} does not hold the network its card describes.") from error
        warm_start = {"checkpoint": initial.name, "sha256": sha256(initial)}
    characters = load_characters(folder, config.input_size, recipe, device)
    if minutes is not None:
        planned = planned_steps(state_path(output)) if resume else None
        if not planned:
            new = partial(start, config=config, data=characters.train)
            per_step = seconds_a_step(new, recipe, characters.train, TIMED_STEPS)
            planned = steps_in(minutes, per_step)
        recipe = recipe.with_changes(steps=planned)
    run = start(recipe, config, characters.train, weights)
    run.origin |= {"warm_start": warm_start, "data": characters.facts}
    if resume:
        run.load(state_path(output), recipe)
    train(
        run,
        recipe,
        characters.train,
        characters.validation,
        state=state_path(output),
        on_progress=on_progress,
        should_stop=should_stop,
    )
    run.objective.load_state_dict(run.best)
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
        "temperature": choose_temperature(run.objective, characters.validation),
        "steps_done": run.step,
        "best_step": run.best_step,
        "minutes": round(run.seconds / 60, 1),
        "device": describe_device(device),
        "validation": {"protocol": "20-way 1-shot, characters not trained on", **run.validation},
    }
    save_weights(output, kept_weights(run), card)
    return run
