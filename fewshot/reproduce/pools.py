"""The data of the experiments: what is asked for by name, and which option gives it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fewshot.data.lake import load_lake
from fewshot.data.omniglot import HELD_OUT_ALPHABETS, Omniglot, load_omniglot, split_alphabets
from fewshot.data.photos import load_photos, split_photos
from fewshot.data.pool import Pool
from fewshot.episodes import Episodes
from fewshot.reproduce.experiments import SEED
from fewshot.types import InputError

# Name -> the option that says where it lies (None: it needs no data), and what it is.
SOURCES: dict[str, tuple[str | None, str]] = {
    "invented": (None, "an invented alphabet, drawn by the project itself"),
    "omniglot-evaluation": ("--data", "Omniglot, evaluation characters"),
    "omniglot-training": ("--data", "Omniglot, training characters, as many as for evaluation"),
    "omniglot-latin": ("--data", "Omniglot, the Latin alphabet by name"),
    "lake": ("--lake", "Lake's official one-shot runs"),
    "photos-evaluation": ("--photos", "photos, classes kept out of training"),
    "photos-unseen": ("--photos", "photos of the trained nouns, kept out of training"),
}


@dataclass(frozen=True)
class Loaded:
    """One of them.

    Attributes:
        pool: its pictures.
        fixed: its episodes, where it prescribes them.
    """

    pool: Pool
    fixed: Episodes | None = None

    def as_json(self, name: str) -> dict:
        """What it is, and a hash of its pictures and their classes."""
        digest = hashlib.blake2b(digest_size=16)
        for picture, label in zip(self.pool.pictures, self.pool.labels, strict=True):
            digest.update(f"{picture.digest} {label}\n".encode())
        return {
            "name": SOURCES[name][1],
            "classes": len(self.pool.classes),
            "pictures": len(self.pool.pictures),
            "hash": digest.hexdigest(),
        }


class Pools:
    """Where the data lie; the last one read is kept."""

    def __init__(
        self, data: Path | None = None, photos: Path | None = None, lake: Path | None = None
    ) -> None:
        """The folders of those options, or None where one was not given."""
        self._folders = {"--data": data, "--photos": photos, "--lake": lake}
        self._last: tuple[str, Loaded] | None = None

    def missing(self, name: str) -> str | None:
        """The option that would be needed and was not given."""
        option = SOURCES[name][0]
        return option if option and not self._folders[option] else None

    def load(self, name: str) -> Loaded:
        """Read one of :data:`SOURCES`.

        Raises:
            InputError: its option was not given, or it is not there or cannot be read.
        """
        if option := self.missing(name):
            raise InputError(f"{SOURCES[name][1]} needs {option} with the folder that holds it.")
        if self._last is None or self._last[0] != name:
            self._last = None  # let go of the one before
            self._last = name, self._load(name)
        return self._last[1]

    def _load(self, name: str) -> Loaded:
        data, photos, lake = (self._folders[option] for option in ("--data", "--photos", "--lake"))
        if name == "invented":
            from fewshot.data.invented import invented_alphabet

            return Loaded(invented_alphabet())
        if name == "lake":
            return Loaded(*load_lake(lake))
        if name.startswith("photos"):
            split = name.removeprefix("photos-")
            return Loaded(split_photos(load_photos(photos), split).pool())
        if name == "omniglot-evaluation":
            return Loaded(load_omniglot("evaluation", data).pool())
        background = load_omniglot("background", data)
        if name == "omniglot-latin":
            return Loaded(background.latin().pool())
        count = len(load_omniglot("evaluation", data).classes)
        return Loaded(_some_training_characters(background, count).pool())


def _some_training_characters(background: Omniglot, count: int) -> Omniglot:
    """As many of the characters trained on as there are evaluation characters, at random."""
    trained = split_alphabets(background.alphabets, HELD_OUT_ALPHABETS)[0]
    chosen = np.random.default_rng(SEED).permutation(trained)[:count]
    return background.select(np.sort(chosen))
