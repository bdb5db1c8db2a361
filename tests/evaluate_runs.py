"""Runs of the Evaluate tab for its tests."""

from __future__ import annotations

from fewshot.ui.evaluate_engine import evaluate_in_steps
from fewshot.ui.evaluate_report import Report
from fewshot.ui.evaluate_request import Request

# No encoder to load, and hardly a wait.
QUICK = {"methods": ("pixels",), "episodes": 60, "queries": 2}


def reports(request: Request) -> list[Report]:
    return [step for step in evaluate_in_steps(request) if isinstance(step, Report)]
