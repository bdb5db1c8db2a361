"""What a figure depends on beside its data: the code, the machine, the day."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch

from fewshot import __version__
from fewshot.data.cache import cache_folder
from fewshot.device import best_device, precision_name

ROOT = Path(__file__).parents[2]
# What the command itself writes does not make the tree another one.
_WRITTEN = (":(exclude)assets/results", ":(exclude)README.md")


def provenance() -> dict:
    """``{"commit", "when", "versions", "device"}``."""
    device = best_device()
    return {
        "commit": commit(),
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {
            "fewshot": __version__,
            "python": platform.python_version(),
            "torch": str(torch.__version__),
            "numpy": np.__version__,
        },
        "device": f"{device.type}, {precision_name(device)}",
    }


def commit(root: Path = ROOT) -> str:
    """The commit of the tree at ``root``, with "-dirty" where files differ; "unknown" elsewhere.

    Results and README are left aside: the command writes them.
    """
    if Path(_git(root, "rev-parse", "--show-toplevel") or os.devnull).resolve() != root.resolve():
        return "unknown"  # outside git, or a copy within some other project's tree
    name = _git(root, "rev-parse", "HEAD")
    if not name:
        return "unknown"
    return f"{name}-dirty" if _git(root, "status", "--porcelain", "--", ".", *_WRITTEN) else name


def _git(root: Path, *arguments: str) -> str:
    try:
        ran = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return ran.stdout.strip()


def without_places(sentence: str) -> str:
    """A sentence without this machine's folders in it, as it may be kept with the results."""
    places = {f"{ROOT}{os.sep}": "", str(cache_folder()): "CACHE", str(Path.home()): "~"}
    for place, word in places.items():
        sentence = sentence.replace(place, word)
    return sentence
