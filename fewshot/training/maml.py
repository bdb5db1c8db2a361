"""From a trained drawings encoder to one that adapts: second-order MAML on tasks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fewshot import __version__
from fewshot.device import best_device
from fewshot.encoders.convnet import ConvNetConfig
from fewshot.encoders.maml_network import AdaptableConvNet, MamlNetwork
from fewshot.encoders.weights import save_weights
from fewshot.episodes import Episodes, Protocol, draw_episodes
from fewshot.temperature import TEMPERATURES
from fewshot.training.drawings import TIMED_STEPS, load_characters, trained_encoder
from fewshot.training.drawings_objective import TrainingData
from fewshot.training.loop import Run, begin, kept_weights, outcome
from fewshot.training.maml_recipe import MamlRecipe
from fewshot.training.objective import Objective
from fewshot.training.samplers import draw_classes, draw_grid
from fewshot.training.session import Session
from fewshot.training.timing import seconds_a_step
from fewshot.types import InputError

# Held-out tasks of a validation, by ways. Adapting takes a tenth of a second a task on a CPU core.
VALIDATED = {5: 200, 20: 30}
# Pictures of adapting and asked tasks held at once.
PICTURES_AT_ONCE = 160


class MamlObjective(Objective):
    """The loss on a task's queries once the network has adapted to its support picture."""

    def __init__(self, network: MamlNetwork, recipe: MamlRecipe) -> None:
        super().__init__()
        self.network = network
        self.recipe = recipe

    def loss(self, data: TrainingData, generator: torch.Generator) -> Tensor:
        """Mean cross-entropy over some tasks' queries, after the inner steps."""
        recipe = self.recipe
        x, ways = self.draw(data, generator)
        membership = torch.eye(ways, device=x.device)
        with torch.autocast(x.device.type, enabled=False):  # small steps need all the digits
            cosines = self.network.answer(
                x[:, :, 0],
                membership,
                x[:, :, 1:].flatten(1, 2),
                first_order=recipe.first_order,
            )  # (e, ways * queries, ways)
        labels = torch.arange(ways, device=x.device).repeat_interleave(recipe.queries)
        logits = recipe.inner.scale * cosines.flatten(0, 1)
        return F.cross_entropy(logits, labels.repeat(len(x)))

    def draw(self, data: TrainingData, generator: torch.Generator) -> tuple[Tensor, int]:
        """Views ``(e, ways, 1 + queries, size²)`` of ``e`` tasks of related classes, and ways."""
        recipe, device = self.recipe, data.device
        least, most = recipe.ways
        ways = int(torch.randint(least, most + 1, (), generator=generator, device=device))
        n_images = 1 + recipe.queries
        groups = data.groups_of_copies(recipe.copies)
        tasks = []
        for _ in range(max(1, recipe.batch // (ways * n_images))):
            classes = draw_classes(groups, ways, recipe.related, generator)
            tasks.append(draw_grid(classes, data.n_images, n_images, generator))
        classes, numbers = (torch.cat(parts) for parts in zip(*tasks, strict=True))
        views = data.views(classes, numbers, recipe, generator)
        return views.flatten(1).view(len(tasks), ways, n_images, -1), ways

    @torch.no_grad()
    def warm_start(self, data: TrainingData) -> None:
        """The row begins in the middle of all characters, at unit length."""
        self.eval()
        drawings = data.ink[:, 0].flatten(1).float() / 255
        mean = torch.cat([self.network.body(part) for part in drawings.split(256)]).mean(0)
        self.network.row.copy_(F.normalize(mean, dim=0))

    def kept(self) -> dict[str, nn.Module]:
        """See :class:`Objective`."""
        return {"network": self.network}


@dataclass(frozen=True)
class MamlValidation:
    """Held-out characters and fixed 1-shot tasks over them, by name."""

    data: TrainingData
    tasks: dict[str, Episodes]

    def __call__(self, objective: MamlObjective) -> dict[str, float]:
        """Accuracy after adapting, by number of ways; the first one is also the "score"."""
        accuracy = {}
        for name in self.tasks:
            cosines, labels = self.answers(objective, name)
            accuracy[name] = float((cosines.argmax(1) == labels).float().mean())
        return accuracy | {"score": next(iter(accuracy.values()))}

    def temperature(self, objective: MamlObjective) -> float:
        """Factor on the cosines that makes the first tasks' probabilities likeliest.

        Guo et al., ICML 2017, https://arxiv.org/abs/1706.04599.
        """
        cosines, labels = self.answers(objective, next(iter(self.tasks)))
        losses = [float(F.cross_entropy(t * cosines, labels)) for t in TEMPERATURES]
        return TEMPERATURES[int(np.argmin(losses))]

    @torch.no_grad()
    def answers(self, objective: MamlObjective, name: str) -> tuple[Tensor, Tensor]:
        """Cosines ``(queries, ways)`` of all queries of some tasks, and labels ``(queries,)``."""
        objective.eval()
        ink = self.data.ink.flatten(0, 1).flatten(1)
        cosines, labels = [], []
        for batch in self.tasks[name].batches():
            membership = torch.eye(batch.classes.shape[1], device=ink.device)
            x, asked = (
                ink[torch.from_numpy(chosen).to(ink.device)].float() / 255
                for chosen in (batch.support, batch.queries)
            )  # (e, ways, size²)
            cosines.append(objective.network.answer(x, membership, asked).flatten(0, 1).cpu())
            labels.append(torch.from_numpy(batch.query_labels).repeat(len(batch)))
        return torch.cat(cosines), torch.cat(labels)


def maml_validation(data: TrainingData, tasks: dict[int, int] | None = None) -> MamlValidation:
    """Draw the tasks once, so that every validation of every run sees the same ones.

    Args:
        data: the held-out characters.
        tasks: ways -> how many; None takes :data:`VALIDATED`.
    """
    n_classes, n_images = data.ink.shape[:2]
    labels = np.arange(n_classes).repeat(n_images)
    drawn = {}
    for ways, count in (tasks or VALIDATED).items():
        ways = min(ways, n_classes)
        episodes = draw_episodes(labels, Protocol(ways, 1, 1), count, seed=1)
        drawn[f"{ways}-way"] = episodes.in_portions(max(1, PICTURES_AT_ONCE // (2 * ways)))
    return MamlValidation(data, drawn)


def new_maml(
    recipe: MamlRecipe, config: ConvNetConfig, weights: dict[str, Tensor], device: torch.device
) -> MamlObjective:
    """The objective at a trained encoder's weights."""
    body = AdaptableConvNet(config)
    body.load_state_dict(weights)
    network = MamlNetwork(body, config.dim, recipe.inner)
    return MamlObjective(network, recipe).to(device, memory_format=torch.contiguous_format)


def train_maml(recipe: MamlRecipe, session: Session) -> Run:
    """Train MAML from a drawings checkpoint, and write weights, card and state.

    Args:
        recipe: what to do.
        session: its folder is Omniglot's; the statistics of its initial encoder's batch norm stay.

    Raises:
        InputError: there is no initial encoder, data or checkpoint cannot be read, or the state is
            of another recipe.
    """
    session.check_is_file()
    if session.initial is None:
        raise InputError("maml starts from a trained encoder: name its checkpoint with --init.")
    config, weights, warm_start = trained_encoder(session.initial)
    if not config.projected:
        raise InputError(
            "maml tunes the last linear layer, and this encoder has none: begin with one made "
            "without --feature-map."
        )
    device = best_device()
    characters = load_characters(
        session.folder, config.input_size, recipe.validation_alphabets, device, session.on_part
    )
    validation = maml_validation(characters.validation.data)
    new = partial(new_maml, config=config, weights=weights, device=device)
    recipe = session.planned(
        recipe,
        lambda: seconds_a_step(
            lambda trial: begin(new(trial), trial, {}),
            recipe,
            characters.train,
            TIMED_STEPS,
            validation,
        ),
    )
    objective = new(recipe)
    objective.warm_start(characters.train)
    origin = {
        "architecture": config.as_dict(),
        "classes": len(characters.train.ink),
        "warm_start": warm_start,
        "data": characters.facts,
    }
    run = begin(objective, recipe, origin)
    session.carry_out(run, recipe, characters.train, validation)
    card = {
        "name": session.output.stem,
        "version": __version__,
        "method": recipe.method,
        "architecture": origin["architecture"],
        "inner": recipe.inner.as_dict(),
        "order": "first order" if recipe.first_order else "second order",
        "parameters": sum(p.numel() for p in run.objective.network.parameters()),
        "licence": "MIT",
        "data": characters.facts,
        "recipe": recipe.as_dict(),
        "warm_start": warm_start,
        "temperature": validation.temperature(run.objective),
        **outcome(run, "1-shot, one query a class, after adapting; characters not trained on"),
    }
    save_weights(session.output, kept_weights(run), card)
    return run
