"""The training module's data path against a plain Dataset and DataLoader."""

from __future__ import annotations

import tempfile
import time
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageFilter
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from fewshot.bench.timing import OnPart, seconds, unheard
from fewshot.data.omniglot import SPLITS, find_split, read_omniglot
from fewshot.device import autocast, best_device, precision_name
from fewshot.encoders.augment import Augmentation
from fewshot.encoders.convnet import ConvNet, ConvNetConfig
from fewshot.encoders.ink import find_ink
from fewshot.training.drawings import begin_drawings
from fewshot.training.drawings_objective import TrainingData
from fewshot.training.recipe import RECIPES
from fewshot.training.samplers import draw_images, step_generator
from fewshot.types import InputError

BATCH = 256
BASELINE_IMAGES = 40 * BATCH
OUR_BATCHES = 200
NETWORK_BATCHES = 10


class PictureByPicture(Dataset):
    """Decodes each PNG with PIL when asked for it and augments that picture alone."""

    def __init__(self, files: list[Path], size: int, ranges: Augmentation) -> None:
        self.files = files
        degrees = float(np.degrees(np.arctan(ranges.shear)))
        self.transform = transforms.Compose(
            [
                transforms.Resize((size, size)),
                transforms.RandomAffine(
                    ranges.rotation,
                    (ranges.translation, ranges.translation),
                    (1 - ranges.scale, 1 + ranges.scale),
                    (-degrees, degrees, -degrees, degrees),
                    interpolation=transforms.InterpolationMode.BILINEAR,
                ),
                transforms.RandomApply([transforms.Lambda(_thickened)], p=ranges.thickening),
                transforms.ToTensor(),
            ]
        )

    def __len__(self) -> int:
        return BASELINE_IMAGES

    def __getitem__(self, index: int) -> torch.Tensor:
        with Image.open(self.files[index % len(self.files)]) as image:
            grey = image.convert("L").point(lambda value: 255 - value)
        return self.transform(grey)


def measure(folder: Path | None, on_part: OnPart = unheard) -> dict:
    """Measure both; see the keys of the result.

    Args:
        folder: where Omniglot lies; None downloads it.
        on_part: told of each part.
    """
    device, config, recipe = best_device(), ConvNetConfig(), RECIPES["prototype"]
    with tempfile.TemporaryDirectory() as temporary:
        source = _unpacked(find_split("background", folder), Path(temporary))
        files = sorted(source.rglob("*.png"))
        on_part(0.0, "reading every drawing once")
        loading, data = _our_data(source, config.input_size, device)
        on_part(0.2, "augmenting batches")
        ours = _our_rate(data, recipe)
        on_part(0.4, "a DataLoader, and both with the network")
        network, baseline, end_to_end = _with_network(files, data, config, recipe)
    images = recipe.steps * recipe.batch
    whole_run = images / (loading + images / ours)
    return {
        "device": f"{device.type}, {precision_name(device)}, {torch.get_num_threads()} threads",
        "baseline: pictures per second, decoded and augmented": round(baseline),
        "ours: seconds to read, decode and preprocess all PNG files once": round(loading, 1),
        "ours: pictures per second after that, augmented": round(ours),
        "ratio, data and augmentation, steady": round(ours / baseline, 1),
        f"ratio, data and augmentation, over a run of {images:,} pictures with the reading": round(
            whole_run / baseline, 1
        ),
        "network alone: pictures per second, forward and backward": round(network),
        "ratio, end to end with the network": round(end_to_end, 2),
    }


def _unpacked(source: Path, temporary: Path) -> Path:
    """The PNG files as files, which both sides start from."""
    if source.is_dir():
        return source
    try:
        with zipfile.ZipFile(source) as archive:
            archive.extractall(temporary)
    except zipfile.BadZipFile as error:
        raise InputError(f"{source} cannot be read as a zip ({error}).") from error
    return temporary / SPLITS["background"]


def _our_data(source: Path, size: int, device: torch.device) -> tuple[float, TrainingData]:
    began = time.perf_counter()
    omniglot = read_omniglot(source)
    ink = np.stack([find_ink(picture.pixels, size) for picture in omniglot.pool().pictures])
    images = torch.from_numpy(ink.reshape(*omniglot.images.shape[:2], size, size)).to(device)
    data = TrainingData(images, torch.from_numpy(omniglot.alphabets).to(device))
    return time.perf_counter() - began, data


def _our_rate(data: TrainingData, recipe) -> float:
    def batches() -> None:
        for step in range(OUR_BATCHES):
            generator = step_generator(0, step, data.ink.device)
            drawn = draw_images(4 * len(data.ink), data.n_images, BATCH, generator)
            views = data.views(*drawn, recipe, generator)
        views.sum().item()  # waits for a GPU

    return OUR_BATCHES * BATCH / seconds(batches)


def _with_network(
    files: list[Path], data: TrainingData, config: ConvNetConfig, recipe
) -> tuple[float, float, float]:
    """Pictures per second of the network and of the baseline's data, and the end-to-end ratio."""
    device = data.ink.device
    network = ConvNet(config).to(device)
    optimizer = torch.optim.AdamW(network.parameters())

    def learn(batch: torch.Tensor) -> torch.Tensor:
        with autocast(device):
            loss = network(batch).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()

    sample = torch.rand(BATCH, 1, config.input_size, config.input_size, device=device)

    def learn_all(batches: Iterable[torch.Tensor]) -> None:
        for batch in batches:
            loss = learn(batch.to(device))
        loss.item()  # waits for a GPU

    learn(sample)
    learning = seconds(lambda: learn_all([sample] * NETWORK_BATCHES))
    alone = NETWORK_BATCHES * BATCH / learning

    loader = DataLoader(
        PictureByPicture(files, config.input_size, recipe.augmentation),
        BATCH,
        shuffle=True,
        num_workers=2,
        persistent_workers=True,
    )
    for _ in loader:  # starts the workers and warms the file cache
        pass
    baseline = BASELINE_IMAGES / seconds(lambda: [None for _ in loader])
    their_run = seconds(lambda: learn_all(loader))

    run = begin_drawings(recipe, config, data)

    def ours() -> Iterator[torch.Tensor]:
        for step in range(BASELINE_IMAGES // BATCH):
            generator = step_generator(0, step, device)
            drawn = draw_images(4 * len(data.ink), data.n_images, BATCH, generator)
            yield data.views(*drawn, run.objective.recipe, generator)

    return alone, baseline, their_run / seconds(lambda: learn_all(ours()))


def _thickened(image: Image.Image) -> Image.Image:
    return Image.blend(image, image.filter(ImageFilter.MaxFilter(3)), float(torch.rand(())))
