"""The optimiser of a run, and its learning rate step by step."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from fewshot.training.objective import Objective
from fewshot.training.recipe import RunRecipe
from fewshot.types import InputError


def optimizer_of(objective: Objective, recipe: RunRecipe) -> torch.optim.Optimizer:
    """A fresh one, each group of parameters with its ``factor`` on the learning rate.

    "muon" takes the kernels of convolutions over several channels; everything else it leaves to
    AdamW with Nesterov's momentum.

    Muon makes a step of orthogonal matrices (Jordan et al.: Muon, an optimizer for hidden layers,
    2024, https://kellerjordan.github.io/posts/muon), here as large as AdamW's would be, so that one
    rate does for both (Liu et al.: Muon is scalable for LLM training, 2025,
    https://arxiv.org/abs/2502.16982).

    Raises:
        InputError: there is no optimiser of that name.
    """
    groups: dict[tuple[float, float, bool], list[Tensor]] = {}
    for name, parameter in objective.named_parameters():
        decay = recipe.weight_decay if parameter.ndim > 1 else 0.0
        factor = next((f for p, f in recipe.layer_rates.items() if name.startswith(p)), 1.0)
        kernel = recipe.optimizer == "muon" and parameter.ndim == 4 and parameter.shape[1] > 1
        groups.setdefault((decay, factor, kernel), []).append(parameter)
    settings = [
        {"params": parameters, "weight_decay": decay, "factor": factor, "use_fallback": not kernel}
        for (decay, factor, kernel), parameters in groups.items()
    ]
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(settings, lr=recipe.learning_rate, momentum=0.9, nesterov=True)
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(settings, lr=recipe.learning_rate)
    if recipe.optimizer == "muon":
        from timm.optim import Muon

        return Muon(
            settings,
            lr=recipe.learning_rate,
            nesterov=True,
            betas=(0.9, 0.99),
            adjust_lr_fn="match_rms_adamw",
        )
    raise InputError(f"There is no optimizer {recipe.optimizer}: take adamw, muon or sgd.")


def set_rates(optimizer: torch.optim.Optimizer, recipe: RunRecipe, step: int) -> None:
    """Linear warm-up, then a cosine to 0 (Loshchilov, Hutter 2017, arXiv 1608.03983)."""
    warmup = max(1, int(recipe.warmup * recipe.steps))
    if step < warmup:
        share = (step + 1) / warmup
    else:
        share = 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, recipe.steps - warmup)))
    for group in optimizer.param_groups:
        group["lr"] = recipe.learning_rate * group["factor"] * share
