"""From Omniglot's files to a checkpoint of Koch's network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fewshot import __version__
from fewshot.device import best_device
from fewshot.encoders.augment import augment, draw
from fewshot.encoders.koch import SIDE, Koch
from fewshot.encoders.weights import half_precision, save_weights
from fewshot.losses import pair_loss
from fewshot.training.drawings import load_characters
from fewshot.training.drawings_objective import TrainingData
from fewshot.training.koch_recipe import KochRecipe
from fewshot.training.loop import Run, begin, kept_weights, outcome
from fewshot.training.objective import Objective
from fewshot.training.samplers import draw_classes, draw_grid, draw_pairs
from fewshot.training.session import Session
from fewshot.training.timing import seconds_a_step
from fewshot.training.validation import ValidationSet, validation_set
from fewshot.types import InputError

# Drawings of each held-out character that are validated on: a drawing takes 20 ms on two cores.
VALIDATED = 6
# Pictures embedded at a time in validation; the first layer makes 2.4 MB of each.
BATCH = 32
# A run given minutes instead of steps times so many first.
TIMED_STEPS = 3


class KochObjective(Objective):
    """Binary cross-entropy on pairs, half of them of the same class.

    As in the paper: the loss, rates by layer, and the affine distortions, whose seven components
    each take part with probability one half. Otherwise: a step draws its pairs among few images,
    as embedding takes all the time; distortions are drawn anew each time rather than eight to an
    image; the rates follow a warm-up and a cosine rather than falling by 1% an epoch, and momentum
    is Nesterov's and stays where the paper raises it from 0.5: an hour of a CPU is no 200 epochs.
    L2 is the same for all layers, where the paper chose it for each, and leaves biases alone.
    """

    def __init__(self, recipe: KochRecipe) -> None:
        super().__init__()
        self.network = Koch()
        self.recipe = recipe

    def loss(self, data: TrainingData, generator: torch.Generator) -> Tensor:
        """Mean loss of a step's pairs."""
        recipe = self.recipe
        n_classes = recipe.batch // recipe.images_per_class
        classes = draw_classes(data.groups, n_classes, recipe.related, generator)
        labels, numbers = draw_grid(classes, data.n_images, recipe.images_per_class, generator)
        views = self.distorted(data.ink[labels, numbers], generator)
        x = self.network.embed(views.contiguous(memory_format=torch.channels_last))
        first, second, same = draw_pairs(labels, recipe.pairs, generator)
        # On a CPU the gradient of x[first] is summed in any order, that of a selection in one.
        pairs = x.index_select(0, first), x.index_select(0, second)
        return pair_loss(self.network.head(*pairs), same)

    def distorted(self, ink: Tensor, generator: torch.Generator) -> Tensor:
        """``(b, 105, 105)`` uint8 to ``(b, 1, 105, 105)`` in 0..1, each distorted in its way."""
        drawn = draw(len(ink), generator)
        chances = torch.rand(len(ink), 7, generator=generator, device=ink.device)
        # 0.5 is the middle of a component's range: nothing happens.
        drawn[:, :7] = drawn[:, :7].where(chances < self.recipe.included, 0.5)
        return augment(ink, drawn, self.recipe.augmentation)

    def encoder(self, ink: Tensor) -> Tensor:
        """What validation embeds with: ``(b, 1, 105, 105)`` to ``(b, 4096)``, some at a time."""
        parts = ink.contiguous(memory_format=torch.channels_last).split(BATCH)
        return torch.cat([self.network.embed(part).float() for part in parts])

    def similarity(self, queries: Tensor, supports: Tensor) -> Tensor:
        """Pair logits of units ``(..., q, d)`` and ``(..., n, d)``: ``(..., q, n)``."""
        return self.network.head(queries.unsqueeze(-2), supports.unsqueeze(-3))

    def kept(self) -> dict[str, nn.Module]:
        """See :class:`Objective`."""
        return {"network": self.network}


def new_koch(recipe: KochRecipe, device: torch.device) -> KochObjective:
    """The network at the published initialisation, by the recipe's seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        objective = KochObjective(recipe)
    return objective.to(device, memory_format=torch.channels_last)


def train_koch(recipe: KochRecipe, session: Session) -> Run:
    """Train Koch's network, and write its weights as fp16 (78 MB), card and state (0.5 GB).

    Args:
        recipe: what to do.
        session: its folder is Omniglot's; starts at random weights only.

    Raises:
        InputError: the data cannot be read, or the state is of another recipe.
    """
    if session.initial is not None:
        raise InputError("koch starts at the published random weights: leave out --init.")
    session.check_is_file()
    device = best_device()
    characters = load_characters(
        session.folder, SIDE, recipe.validation_alphabets, device, session.on_part
    )
    validation = _fewer(characters.validation)
    recipe = session.planned(
        recipe,
        lambda: seconds_a_step(
            lambda trial: begin(new_koch(trial, device), trial, {}),
            recipe,
            characters.train,
            TIMED_STEPS,
            validation,
        ),
    )
    origin = {
        "architecture": {"network": "Koch", "input_size": SIDE},
        "classes": len(characters.train.ink),
        "data": characters.facts,
    }
    run = begin(new_koch(recipe, device), recipe, origin)
    session.carry_out(run, recipe, characters.train, validation)
    card = {
        "name": session.output.stem,
        "version": __version__,
        "method": recipe.method,
        "architecture": origin["architecture"],
        "parameters": sum(p.numel() for p in run.objective.network.parameters()),
        "licence": "MIT",
        "data": characters.facts,
        "recipe": recipe.as_dict(),
        "pairs_done": run.step * recipe.pairs,
        **outcome(run, f"20-way 1-shot, {VALIDATED} drawings of each character not trained on"),
    }
    save_weights(session.output, half_precision(kept_weights(run)), card)
    return run


def _fewer(held_out: ValidationSet) -> ValidationSet:
    """Episodes over the first drawings of each character alone."""
    data = held_out.data
    return validation_set(TrainingData(data.ink[:, :VALIDATED], data.groups))
