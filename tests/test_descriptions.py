"""What a class is called where it is read: its name, and a description if it has one."""

from __future__ import annotations

import numpy as np
import pytest

from fewshot.types import Support

NOTHING = {"labels": np.zeros(0, np.int64), "embeddings": np.zeros((0, 4), np.float32)}


def test_a_description_follows_the_name_and_an_empty_one_leaves_it_alone() -> None:
    support = Support(("bike", "car"), **NOTHING, descriptions=("with two wheels", ""))
    assert support.described == ("bike, with two wheels", "car")
    assert support.classes == ("bike", "car")


def test_without_descriptions_the_names_are_read() -> None:
    assert Support(("bike", "car"), **NOTHING).described == ("bike", "car")


def test_there_are_as_many_descriptions_as_classes_or_none() -> None:
    with pytest.raises(ValueError, match="1 descriptions, 2 classes"):
        Support(("bike", "car"), **NOTHING, descriptions=("with two wheels",))
