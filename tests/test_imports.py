"""README's map of the package: it names every module, and what imports what goes by its order."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "fewshot"


def parts() -> set[str]:
    """The modules and folders directly in the package."""
    found = [path for path in PACKAGE.iterdir() if not path.name.startswith("__")]
    return {path.stem for path in found if path.is_dir() or path.suffix == ".py"}


def order() -> dict[str, int]:
    """Part -> the line of the map that first names it."""
    block = (ROOT / "README.md").read_text("utf-8").split("## How it is built")[1].split("```")[1]
    lines: dict[str, int] = {}
    for number, line in enumerate(block.splitlines()):
        for name in re.findall(r"([a-z_*]+)(?:\.py|/)", line):
            for path in (*PACKAGE.glob(f"{name}.py"), *PACKAGE.glob(name)):
                lines.setdefault(path.stem, number)
    return lines


def imported(tree: ast.AST) -> Iterator[str]:
    """The parts that run as a module runs, or later; not those that only type checkers read."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and getattr(node.test, "id", None) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "fewshot":
            names = node.module.split(".")[1:2] or [alias.name for alias in node.names]
            yield from names
        yield from imported(node)


def test_the_map_names_every_part() -> None:
    assert order().keys() == parts()


@pytest.mark.parametrize("part", sorted(parts()))
def test_a_part_imports_from_those_above_it_alone(part: str) -> None:
    lines = order()
    files = [PACKAGE / f"{part}.py"] if (PACKAGE / f"{part}.py").exists() else []
    for file in files or sorted((PACKAGE / part).rglob("*.py")):
        found = set(imported(ast.parse(file.read_text("utf-8")))) & parts()
        below = {name for name in found if lines[name] > lines[part]}
        assert not below, f"{file.relative_to(ROOT)} imports {', '.join(sorted(below))}"
