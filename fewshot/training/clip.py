"""From photos and fonts to the embedded CLIP: a folder that open_clip loads."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from fewshot import __version__
from fewshot.data.cache import write_atomically
from fewshot.data.symbols import symbols
from fewshot.device import best_device
from fewshot.encoders.clip_models import CARD_FILE, CONFIG_FILE, WEIGHTS_FILE
from fewshot.encoders.weights import load_weights, plain, sha256
from fewshot.training.checkpoint import planned_steps, state_path
from fewshot.training.clip_data import load_clip_data
from fewshot.training.clip_objective import MEAN, STD, ClipData, ClipObjective
from fewshot.training.clip_recipe import ARCHITECTURE, ClipRecipe
from fewshot.training.loop import Progress, Run, begin, describe_device, train
from fewshot.types import InputError

# A run given minutes instead of steps times as many at each size of the pictures.
TIMED_STEPS = 4
# A picture in use is also looked at in parts of this share of its sides: see ClipEncoder. Chosen on
# validation pictures, after training.
CROP = 0.8


def configuration() -> dict:
    """What open_clip reads beside the weights."""
    return {
        "model_cfg": ARCHITECTURE,
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


def train_clip(
    recipe: ClipRecipe,
    output: Path,
    *,
    folder: Path,
    minutes: float | None = None,
    resume: bool = False,
    initial: Path | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Run:
    """Train the embedded CLIP and write its folder.

    Args:
        recipe: what to do.
        output: folder to write ``open_clip_config.json``, ``open_clip_model.safetensors`` and
            ``card.json`` to; the run's state goes beside it.
        folder: where the photos are.
        minutes: plan as many steps as this machine does in that time, in place of the recipe's;
            a resumed run keeps to the plan it was started with.
        resume: go on from that state.
        initial: folder of an earlier run's model to start from, in place of random weights.
        on_progress: called every few steps.
        should_stop: asked before every step.

    Raises:
        InputError: data or model cannot be read, or the state is of another recipe.
    """
    import open_clip

    device = best_device()
    weights = None if initial is None else _weights_of(initial)
    tokenizer = open_clip.SimpleTokenizer(context_length=ARCHITECTURE["text_cfg"]["context_length"])
    data, validation = load_clip_data(folder, tokenizer, device)
    state = state_path(output.with_suffix(".safetensors"))
    if minutes is not None:
        planned = planned_steps(state) if resume else None
        recipe = recipe.with_changes(steps=planned or _steps_in(minutes, recipe, data))
    origin = {"architecture": ARCHITECTURE, "classes": data.n_classes, "glyphs": len(data.glyphs)}
    objective = new_clip(recipe, data.n_classes, device)
    warm_start = None
    if initial is not None:
        objective.network.load_state_dict(weights)
        objective.warm_start(data)
        warm_start = _described(initial)
    run = begin(objective, recipe, origin | {"warm_start": warm_start})
    if resume:
        run.load(state, recipe)
    train(
        run,
        recipe,
        data,
        validation,
        state=state,
        on_progress=on_progress,
        should_stop=should_stop,
    )
    run.objective.load_state_dict(run.best)
    _write(output, run, recipe, data.nouns, describe_device(device))
    return run


def _weights_of(folder: Path) -> dict[str, Tensor]:
    """The model of a folder that a run wrote, checked against the architecture."""
    import open_clip

    weights = load_weights(folder / WEIGHTS_FILE)
    weights = {k: v.float() if v.is_floating_point() else v for k, v in weights.items()}
    try:
        open_clip.CLIP(**ARCHITECTURE).load_state_dict(weights)
    except RuntimeError as error:
        raise InputError(f"{folder} does not hold a model of this run's architecture.") from error
    return weights


def _described(folder: Path) -> dict:
    """What the card says of the run whose model this one started from."""
    try:
        card = json.loads((folder / CARD_FILE).read_text("utf-8"))
        kept = {key: card[key] for key in ("recipe", "steps_done", "minutes", "device")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder / CARD_FILE} is not a card of train clip.") from error
    return {"sha256": sha256(folder / WEIGHTS_FILE), **kept}


def _steps_in(minutes: float, recipe: ClipRecipe, data: ClipData) -> int:
    """Steps that fit into the time, from a few steps at each size of the pictures."""
    per_step = 0.0
    for share, side in recipe.sides:
        trial = recipe.with_changes(sides=((1.0, side),), steps=1 + TIMED_STEPS)
        run = begin(new_clip(trial, data.n_classes, data.device), trial, {})
        times: list[float] = []

        def timed(run: Run = run, times: list[float] = times) -> bool:
            times.append(time.monotonic())
            return run.step >= 1 + TIMED_STEPS

        train(run, trial, data, lambda objective: {"score": 0.0}, should_stop=timed)
        per_step += share * (times[-1] - times[1]) / (len(times) - 2)  # the first step warms up
    return max(1, int(minutes * 60 / per_step))


def _write(output: Path, run: Run, recipe: ClipRecipe, nouns: Sequence[str], device: str) -> None:
    """Configuration and card first: weights never lack them."""
    network = run.objective.network
    signs = [sign.names[0] for sign in symbols()]
    card = {
        "name": output.name,
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
        "nouns": list(nouns),
        "symbols": signs,
        "data": {
            "name": "Tiny ImageNet and glyphs of free fonts",
            "source": "Stanford CS231n, from https://image-net.org; Debian's font packages",
        },
        "recipe": recipe.as_dict(),
        "warm_start": run.origin["warm_start"],
        "steps_done": run.step,
        "best_step": run.best_step,
        "minutes": round(run.seconds / 60, 1),
        "device": device,
        "validation": run.validation,
    }
    half = {k: v.half() if v.is_floating_point() else v for k, v in network.state_dict().items()}
    for name, content in ((CONFIG_FILE, configuration()), (CARD_FILE, card)):
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        write_atomically(output / name, text.encode())
    write_atomically(output / WEIGHTS_FILE, save(plain(half)))
