"""Results on disk: a JSON file for each experiment."""

from __future__ import annotations

import json
from pathlib import Path

from fewshot.atomic_write import write_atomically
from fewshot.reproduce.experiments import NAMES
from fewshot.types import InputError

# Experiment's name -> its record.
Records = dict[str, dict]


def read_records(folder: Path) -> Records:
    """All records in a folder, in the order of the experiments.

    Raises:
        InputError: a file of that name is no record.
    """
    records = {}
    for name in NAMES:
        path = folder / f"{name}.json"
        if not path.exists():
            continue
        try:
            records[name] = json.loads(path.read_text("utf-8"))
            if records[name]["experiment"] != name or not records[name]["runs"]:
                raise ValueError(name)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path} is no record of results: delete it or run {name}.") from error
    return records


def write_record(record: dict, folder: Path) -> Path:
    """Write one, whole or not at all; returns where."""
    path = folder / f"{record['experiment']}.json"
    text = json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        write_atomically(path, text.encode())
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}).") from error
    return path


def find(record: dict | None, method: str, **protocol: object) -> dict | None:
    """A method's result under a protocol that agrees with what is named of it, if it was run."""
    for run in record["runs"] if record else ():
        if all(run["protocol"].get(key) == value for key, value in protocol.items()):
            for result in run["results"]:
                if result["method"] == method:
                    return result
    return None
