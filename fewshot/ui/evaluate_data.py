"""The data sets that the Evaluate tab offers, as pools of pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fewshot.class_names import quoted
from fewshot.data.class_tree import pool_of
from fewshot.data.invented import invented_alphabet
from fewshot.data.omniglot import downloaded, load_omniglot
from fewshot.data.pool import Pool
from fewshot.types import InputError
from fewshot.ui import inputs
from fewshot.ui.engine import Step

INVENTED, OMNIGLOT, OWN_ZIP = "invented", "omniglot", "zip"
SOURCES = {
    INVENTED: "The example: an invented alphabet",
    OMNIGLOT: "Omniglot, evaluation characters",
    OWN_ZIP: "My zip",
}
OMNIGLOT_SIZE = "6.5 MB"
_SPLIT = "evaluation"


@dataclass(frozen=True)
class Data:
    """A data set.

    Attributes:
        pool: its pictures.
        facts: how a report names it.
        skipped: one sentence for each file that was left out.
    """

    pool: Pool
    facts: dict[str, str]
    skipped: tuple[str, ...] = ()


def load_data(source: str, zip_path: str | None) -> Data:
    """Read a data set; nothing is downloaded.

    Args:
        source: a name in SOURCES.
        zip_path: where the visitor's zip lies.

    Raises:
        InputError: it is not there or cannot be used.
    """
    if source == INVENTED:
        return Data(invented_alphabet(), {"dataset": "invented alphabet"})
    if source == OMNIGLOT:
        if not omniglot_is_here():
            raise InputError(
                f"Omniglot is not on this machine: press Download ({OMNIGLOT_SIZE}), or choose "
                "another data set."
            )
        pool = load_omniglot(_SPLIT).pool()
        return Data(pool, {"dataset": "omniglot", "split": _SPLIT})
    if source != OWN_ZIP:
        raise InputError(f"There is no data set “{source}”: choose one of the three.")
    if not zip_path:
        raise InputError("There is no zip yet: upload one with a folder of pictures per class.")
    return _of_zip(Path(zip_path))


def read_ahead(source: str, zip_path: str | None) -> Iterator[Step]:
    """Read a visitor's zip, pausing now and then; :func:`load_data` then finds it read.

    Args:
        source, zip_path: as there, where what else is wrong with them is told.

    Raises:
        InputError: the zip cannot be read.
    """
    if source == OWN_ZIP and zip_path:
        yield from inputs.in_steps(inputs.reading_folders(Path(zip_path)))


def omniglot_is_here() -> bool:
    """Whether it was downloaded before."""
    return downloaded(_SPLIT) is not None


def download_omniglot() -> None:
    """Fetch it to the user's cache.

    Raises:
        InputError: it cannot be had.
    """
    try:
        load_omniglot(_SPLIT)
    except InputError as error:
        raise InputError(
            "Omniglot could not be downloaded: this machine is not connected, or the site does "
            "not answer. The example and your own zip need no download."
        ) from error


def _of_zip(path: Path) -> Data:
    folders = inputs.read_folders(path)
    if len(folders.classes) < 2:
        raise InputError(
            f"{quoted(path.name)} has only the class {quoted(folders.classes[0][0])}: at least 2 "
            "classes are needed, each in a folder of its own."
        )
    pool, skipped = pool_of(folders)
    return Data(pool, {"dataset": path.name}, skipped)
