"""A whole comparison against one raw forward pass of its image tower; and the cost of fitting."""

from __future__ import annotations

import copy
import logging

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from fewshot.bench.timing import OnPart, alternating_medians, seconds, unheard
from fewshot.compare import Fitted, fit
from fewshot.device import autocast, best_device, has_fast_bf16, precision_name
from fewshot.embedding_cache import EmbeddingCache
from fewshot.encoders.clip import ClipEncoder
from fewshot.examples import example_task
from fewshot.types import Picture, SupportSet

ROUNDS = 30
MODEL = "ViT-B-32"


def measure(on_part: OnPart = unheard) -> dict:
    """Measure both; see the keys of the result."""
    import open_clip

    on_part(0.0, f"setting up {MODEL} at random weights")
    device = best_device()
    torch.manual_seed(0)
    logging.disable(logging.WARNING)  # that the weights are random is on purpose
    network, _, preprocess = open_clip.create_model_and_transforms(MODEL)
    logging.disable(logging.NOTSET)
    tokenizer = open_clip.get_tokenizer(MODEL)
    exact = copy.deepcopy(network).eval()
    encoder = ClipEncoder(
        network, preprocess, tokenizer, model="random", checkpoint="random", licence="none"
    )
    support_set, query = _photos()
    warm = EmbeddingCache()

    def fit_to_photos() -> Fitted:
        return fit(support_set, "photos", cache=warm, encoder_of=lambda *_: encoder)

    fitted = fit_to_photos()

    def ours() -> None:
        # A cache of its own each time: the query is embedded anew.
        fitted.classify([Picture(query.name, query.pixels)], EmbeddingCache())

    @torch.inference_mode()
    def raw() -> None:
        image = preprocess(Image.fromarray(query.pixels)).unsqueeze(0).to(device)
        with autocast(device):
            network.encode_image(image, normalize=True).float().cpu()

    on_part(0.2, "a comparison beside a raw forward pass")
    compare_seconds, raw_seconds = alternating_medians(ours, raw, ROUNDS)
    precision = {}
    if has_fast_bf16(device.type):
        on_part(0.4, "bf16 beside fp32")
        precision = _beside_fp32(encoder.tower, exact.visual.to(device), device)
    on_part(0.8, "learning from a few pictures")
    return {
        "device": f"{device.type}, {precision_name(device)}, {torch.get_num_threads()} threads",
        "one raw open_clip preprocessing and forward, ViT-B/32, ms": round(1000 * raw_seconds, 1),
        "comparison of five methods, 5-way 5-shot, one query, ms": round(1000 * compare_seconds, 1),
        "ratio, comparison to raw forward": round(compare_seconds / raw_seconds, 3),
        "learning from 5-way 5-shot photos, embedded before, s": round(seconds(fit_to_photos), 2),
        "fitting the four with drawings' own encoders to a 5-way 5-shot task, s": round(
            _fitting_seconds(), 2
        ),
        **precision,
    }


@torch.inference_mode()
def _beside_fp32(tower: nn.Module, exact_tower: nn.Module, device: torch.device) -> dict:
    """A batch of 8 through ViT-B/32 in bf16 and in fp32: speed, and the least cosine."""
    pictures = torch.rand(8, 3, 224, 224, generator=torch.Generator().manual_seed(0)).to(device)

    def exact() -> torch.Tensor:
        return F.normalize(exact_tower(pictures), dim=1).cpu()

    def quick() -> torch.Tensor:
        with autocast(device):
            x = tower(pictures)
        return F.normalize(x.float(), dim=1).cpu()

    quick_seconds, exact_seconds = alternating_medians(quick, exact, ROUNDS)
    return {
        "ViT-B/32 at batch 8, ms an image in bf16": round(1000 * quick_seconds / 8, 1),
        "the same in fp32": round(1000 * exact_seconds / 8, 1),
        "ratio, fp32 to bf16": round(exact_seconds / quick_seconds, 2),
        "least cosine between their embeddings": round(float((quick() * exact()).sum(1).min()), 5),
    }


def _photos() -> tuple[SupportSet, Picture]:
    """Five classes of five pictures and a query, 640×480, of seeded noise."""
    rng = np.random.default_rng(0)
    pictures = [
        Picture(f"{i}.png", rng.integers(0, 256, (480, 640, 3), dtype=np.uint8)) for i in range(26)
    ]
    classes = tuple(f"class {i}" for i in range(5))
    return SupportSet(classes, tuple(pictures[:25]), np.arange(5).repeat(5)), pictures[25]


def _fitting_seconds() -> float:
    """With encoders loaded, and no picture seen before."""
    task = example_task("alphabet")
    methods = ("siamese", "triplet", "finetune", "prototype")
    fit(example_task("chalk").support, methods=methods, cache=EmbeddingCache())
    return seconds(lambda: fit(task.support, methods=methods, cache=EmbeddingCache()))
