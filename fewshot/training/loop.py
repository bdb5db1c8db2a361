"""The single training loop."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from fewshot.device import autocast, precision_name
from fewshot.encoders.weights import with_prefix, without_prefix
from fewshot.training.averaging import RunningMean
from fewshot.training.checkpoint import load_state, pack_optimizer, save_state, unpack_optimizer
from fewshot.training.objective import Objective, OnDevice
from fewshot.training.optimizers import optimizer_of, set_rates
from fewshot.training.recipe import RunRecipe
from fewshot.training.samplers import step_generator
from fewshot.types import InputError

# Steps, or seconds where steps are slow.
REPORT_EVERY, REPORT_SECONDS = 20, 5.0
SAVE_EVERY_SECONDS = 60


@dataclass(frozen=True)
class Progress:
    """Where a run stands.

    Attributes:
        step, steps: done, and in all.
        loss: mean over the steps since the last report.
        images_per_second: since the last report.
        seconds_left: reckoned from the steps of this call, validation included.
        validation: the newest figures, by protocol.
    """

    step: int
    steps: int
    loss: float
    images_per_second: float
    seconds_left: float
    validation: dict[str, float]


@dataclass
class Run:
    """A training run in progress, or ended.

    Attributes:
        objective: encoder and heads as they are now.
        origin: what else determines it beside the recipe, JSON-ready.
        mean: of the weights, where the recipe asks for one.
        step: steps done.
        best: weights with the best validation score so far.
        best_step: when that was.
        validation: that score, by protocol.
        seconds: time spent training, over all resumptions.
    """

    objective: Objective
    optimizer: torch.optim.Optimizer
    origin: dict = field(default_factory=dict)
    mean: RunningMean | None = None
    step: int = 0
    best: dict[str, Tensor] = field(default_factory=dict)
    best_step: int = 0
    validation: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0

    def save(self, path: Path, recipe: RunRecipe) -> None:
        """Write everything a resumed run needs."""
        tensors = with_prefix("now", self.objective.state_dict()) | with_prefix("best", self.best)
        if self.mean is not None:
            tensors |= with_prefix("mean", self.mean.values)
        facts = {
            "recipe": recipe.as_dict(),
            "origin": self.origin,
            "step": self.step,
            "best_step": self.best_step,
            "validation": self.validation,
            "seconds": self.seconds,
        }
        save_state(path, tensors | pack_optimizer(self.optimizer), facts)

    def load(self, path: Path, recipe: RunRecipe) -> None:
        """Go back to where :meth:`save` was called.

        Raises:
            InputError: the state is of another recipe, or of other training characters.
        """
        tensors, facts = load_state(path)
        saved = facts["recipe"] | facts.get("origin", {})
        wanted = json.loads(json.dumps(recipe.as_dict() | self.origin))
        changed = [_difference(k, saved.get(k), v) for k, v in wanted.items() if saved.get(k) != v]
        if changed:
            raise InputError(
                f"{path} is the state of a run with another {', '.join(changed)}; resume with the "
                "same settings or start anew with another --output."
            )
        try:
            self.objective.load_state_dict(without_prefix("now", tensors))
            unpack_optimizer(self.optimizer, tensors)
            self.best = without_prefix("best", tensors)
            if self.mean is not None:
                for name, value in without_prefix("mean", tensors).items():
                    self.mean.values[name].copy_(value)
            self.step, self.best_step = facts["step"], facts["best_step"]
            self.validation, self.seconds = facts["validation"], facts["seconds"]
        except (RuntimeError, KeyError) as error:
            raise InputError(f"{path} does not hold a run of this network and data.") from error


def _difference(name: str, saved: object, wanted: object) -> str:
    """How a setting is to be called where a run was begun with another one."""
    if name == "warm_start":
        return "--init"
    plain = all(isinstance(value, int | float | str) for value in (saved, wanted))
    return f"{name} ({saved}, here {wanted})" if plain else name


def begin(objective: Objective, recipe: RunRecipe, origin: dict) -> Run:
    """A run at step 0 of modules that are on their device already."""
    mean = RunningMean(objective, recipe.averaging) if recipe.averaging else None
    return Run(objective, optimizer_of(objective, recipe), origin, mean)


def train(
    run: Run,
    recipe: RunRecipe,
    data: OnDevice,
    validate: Callable[[Objective], dict[str, float]],
    *,
    state: Path | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Run:
    """Go on until the recipe's last step, or until told to stop.

    Args:
        run: from :func:`begin`, perhaps after :meth:`Run.load`.
        recipe: as the run was started with.
        data: to train on, on the run's device.
        validate: figures on held-out data; the weights with the highest "score" are kept.
        state: file to save the run's state to, every minute and at the end.
        on_progress: called every few steps.
        should_stop: asked before every step; True ends the run after saving its state.

    Returns:
        The run; ``run.best`` holds the weights to keep.
    """
    device = data.device
    began, saved = time.monotonic() - run.seconds, time.monotonic()
    losses: list[Tensor] = []
    first, entered = run.step, time.monotonic()
    reported = entered
    while run.step < recipe.steps and not should_stop():
        set_rates(run.optimizer, recipe, run.step)
        losses.append(_step(run, data, step_generator(recipe.seed, run.step, device)))
        run.step += 1
        if run.mean is not None:
            run.mean.update(run.objective, run.step)
        run.seconds = time.monotonic() - began
        last = run.step == recipe.steps
        if run.step % recipe.validate_every == 0 or last:
            _choose(run, validate)
        elapsed = time.monotonic() - reported
        if run.step % REPORT_EVERY == 0 or last or elapsed > REPORT_SECONDS:
            rate = len(losses) * recipe.batch / elapsed
            mean = float(torch.stack(losses).mean())
            per_step = (time.monotonic() - entered) / (run.step - first)
            left = per_step * (recipe.steps - run.step)
            on_progress(Progress(run.step, recipe.steps, mean, rate, left, run.validation))
            if not math.isfinite(mean):
                raise InputError(
                    f"The loss is {mean} at step {run.step}: begin again at a lower learning rate."
                )
            losses, reported = [], time.monotonic()
        if state is not None and time.monotonic() - saved > SAVE_EVERY_SECONDS:
            run.save(state, recipe)
            saved = time.monotonic()
    if state is not None and run.step:  # none yet, and an earlier run's state is worth more
        run.save(state, recipe)
    if not run.best:  # after saving: going on, the run is to choose as if never stopped
        _choose(run, validate)
    return run


def kept_weights(run: Run) -> dict[str, Tensor]:
    """The best weights of the modules a checkpoint holds, named ``encoder.…``, ``head.…``."""
    prefixes = tuple(f"{name}." for name in run.objective.kept())
    return {name: value for name, value in run.best.items() if name.startswith(prefixes)}


def outcome(run: Run, protocol: str | None = None) -> dict:
    """For the card: how far the run went, on what, and the figures of the weights kept."""
    figures = run.validation if protocol is None else {"protocol": protocol, **run.validation}
    return {
        "steps_done": run.step,
        "best_step": run.best_step,
        "minutes": round(run.seconds / 60, 1),
        "device": describe_device(next(run.objective.parameters()).device),
        "validation": figures,
    }


def describe_device(device: torch.device) -> str:
    """For the card: what the weights were computed on and in which precision."""
    return f"{device.type}, {precision_name(device)}"


def _step(run: Run, data: OnDevice, generator: torch.Generator) -> Tensor:
    run.objective.train()
    with autocast(data.device):
        loss = run.objective.loss(data, generator)
    run.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(run.objective.parameters(), 5.0)
    run.optimizer.step()
    return loss.detach()


def _choose(run: Run, validate: Callable[[Objective], dict[str, float]]) -> None:
    """Keep the weights, or their mean, if no earlier ones did better; later ones win a tie."""
    if run.mean is None:
        _keep_if_best(run, validate(run.objective))
        return
    with run.mean.in_use(run.objective):
        _keep_if_best(run, validate(run.objective))


def _keep_if_best(run: Run, figures: dict[str, float]) -> None:
    if not run.best or figures["score"] >= run.validation["score"]:
        run.validation, run.best_step = figures, run.step
        run.best = {k: v.detach().clone() for k, v in run.objective.state_dict().items()}
