"""The Classify tab: inputs on the left, results on the right, and what happens between them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import gradio as gr
from gradio.events import Dependency

from fewshot.examples import EXAMPLE_TASKS, example_task
from fewshot.presets import PRESETS, get_preset
from fewshot.remarks import photographed, remarks
from fewshot.report import conditions
from fewshot.ui import classes_panel, clip_files, files, inputs, results_panel
from fewshot.ui.aloud import say
from fewshot.ui.arrivals import ALL_ARRIVED
from fewshot.ui.busy import (
    GENTLY,
    STOPPED,
    RunButtons,
    arrived_js,
    ask_to_stop,
    legible,
    looked_js,
    progress_bar,
    run_and_stop,
    stop_flag,
    until_stopped,
)
from fewshot.ui.changes import any_change
from fewshot.ui.classes_panel import ClassesPanel
from fewshot.ui.engine import Step, compare_in_steps, settings_of
from fewshot.ui.errors import sentence, shown
from fewshot.ui.kind import CHOOSE_PHOTOS, wire_kind
from fewshot.ui.look_run import given_in_steps, run_look
from fewshot.ui.markup import QUIET, block, escaped, notice
from fewshot.ui.outdated import CLASSIFY_HELD, build_outdated, inputs_of, keep_watch
from fewshot.ui.pad import check_none_unsent, drawing_pad, unsent_js, wire_taking_back
from fewshot.ui.pictures import picture_gallery
from fewshot.ui.reload import CLASSIFY_GIVEN, classify_again, outlive_reload
from fewshot.ui.results import Results, results_of
from fewshot.ui.settings_panel import (
    MODEL_GIVEN,
    N_SETTINGS,
    SETTINGS_GIVEN,
    SettingsPanel,
    build_settings_panel,
    choices_of,
    fill_models,
    model_status,
    settings_again,
)
from fewshot.ui.sorting import build_sorting, wire_sorting
from fewshot.ui.undo import (
    Undo,
    brought_back,
    build_undo,
    import_remembered,
    remembered,
    wire_clearing,
)

_CLEAR_PADS = """() => {
  document.querySelectorAll("#given .pad [data-do=clear]").forEach((button) => button.click());
}"""
# The page has become shorter, and may end below it.
_TO_THE_WAY_BACK = f"""() => {{
  {say("All was cleared.")}
  requestAnimationFrame(() => document.querySelector("#bring-back")?.scrollIntoView(
    {{ {GENTLY}, block: "nearest" }}
  ));
}}"""
_EXAMPLE = "example-"  # and the example's key, in the ids of the buttons


def build_classify_tab(page: gr.Blocks) -> SettingsPanel:
    """Lay out the tab and wire it.

    Args:
        page: whose loading fills in what depends on the machine.

    Returns:
        The settings, which other tabs may go by.
    """
    with gr.Column(elem_id="examples"):
        block("Try an example", elem_classes="overline")
        with gr.Row(elem_classes="examples"):
            examples = [
                gr.Button(recipe.title, elem_id=f"{_EXAMPLE}{key}", min_width=150)
                for key, recipe in EXAMPLE_TASKS.items()
            ]
    with gr.Row(elem_classes="halves"):
        with gr.Column(scale=5, min_width=340, elem_id="given", elem_classes="given"):
            block("<h2><i>1</i> Show</h2>", elem_classes="step")
            preset = gr.Radio(
                [(p.title, p.name) for p in PRESETS.values()], value="drawings", elem_id="preset",
                label="Kind of pictures",
            )  # fmt: skip
            preset_note = block(elem_id="preset-note")
            undo = build_undo()
            classes = classes_panel.build_classes_panel()
            block("<h2><i>2</i> Ask</h2>", elem_classes="step")
            queries = picture_gallery("Pictures to classify", elem_id="queries", height=170)
            pad = drawing_pad("the picture to classify", "pad-query", queries)
            settings = build_settings_panel()
            with gr.Column(elem_id="actions"):
                progress = block(elem_id="progress")
                with gr.Row():
                    classify, stop = run_and_stop("Classify", "classify", "stop")
                    clear = gr.Button("Clear all", scale=1, min_width=90, elem_id="clear-all")
        with gr.Column(scale=7, min_width=340, elem_id="results", elem_classes="found"):
            block("<h2><i>3</i> Compare</h2>", elem_classes="step")
            outdated = build_outdated("", "Classify", CLASSIFY_HELD)
            results = results_panel.build_results_panel()
            sort_by, sort = build_sorting()
    known = gr.State({}, time_to_live=86_400)
    about = gr.State("", time_to_live=86_400)
    unsent = gr.Textbox(visible=False)
    stopping = stop_flag()

    starters = [classify, clear, results.look, undo.button, *examples]
    buttons = RunButtons(stop, progress, starters)
    given = [*settings.inputs, *classes.inputs]
    held = inputs_of(preset, queries, classes, settings.inputs)
    run = {
        "fn": partial(run_engine, buttons),
        "inputs": [
            stopping,
            outdated.asked,
            unsent,
            preset,
            queries,
            known,
            about,
            results.kept,
            results.row,
            *given,
        ],
        "outputs": [*buttons.outputs, outdated.answered, outdated.problem, *results.outputs],
        "concurrency_id": "engine",
        "concurrency_limit": 2,
        # Never passed over: the buttons see to it that there is one at a time.
        "trigger_mode": "multiple",
        **QUIET,
    }
    wait = {"fn": None, "outputs": buttons.outputs, "js": buttons.waiting_js, **QUIET}
    ask = {"fn": None, "inputs": held, "outputs": outdated.asked, "js": outdated.asked_js, **QUIET}
    filled = [*classes.outputs, queries, preset, known, about]
    remember = {
        "fn": remembered,
        "inputs": [undo.before, *classes.inputs, queries, preset, known, about],
        "outputs": undo.outputs,
        **QUIET,
    }
    # Of the listeners to one click each waits for the one before.
    classify.click(**wait)
    # Gradio itself does not wait for files that are added to a gallery which has some.
    classify.click(**ALL_ARRIVED)
    classify.click(**buttons.sent)
    classify.click(None, None, unsent, js=unsent_js("#given"), **QUIET)
    classify.click(**ask)
    # All examples share their listeners: a browser takes time over each as the page opens.
    example = partial(gr.on, [button.click for button in examples])
    example(**wait)
    example(None, None, unsent, js="() => ''", **QUIET)
    example(**ALL_ARRIVED)
    example(**buttons.sent)
    example(None, js=_CLEAR_PADS, api_visibility="private")
    example(**remember)
    load = example(load_example, None, filled, **QUIET)
    runs = [classify.click(**run), load.success(**ask).success(**run)]
    results.look.click(**wait)
    results.look.click(**ask)
    looking = results.look.click(
        partial(run_look, buttons),
        [stopping, *outdated.both, results.kept, results.row, preset, queries, *given],
        [*buttons.outputs, results.look_progress, outdated.problem, results.looks],
        concurrency_id="engine",
        trigger_mode="multiple",
        **QUIET,
    )
    # Of the row that is chosen by now.
    looking.success(
        results_panel.cards_after_look, [results.kept, results.row, results.looks],
        results.cards, **QUIET,
    )  # fmt: skip
    # Not outdated.asked: a run may be on its way, whose end is told by that.
    sorting = gr.Textbox(visible=False)
    sort.click(**(ask | {"outputs": sorting}))
    wire_sorting(sort_by, sort, [results.kept, sorting, outdated.answered, queries])
    for each in [load, *runs, looking]:  # however it ends
        each.failure(None, None, buttons.outputs, js=buttons.idle_js, **QUIET)
    for each in runs:
        each.success(model_status, settings.model, [settings.status, settings.download], **QUIET)
        each.success(None, outdated.both, None, js=arrived_js("#results"), **QUIET)
    looking.success(None, outdated.problem, None, js=looked_js(), **QUIET)
    # Not behind others in the queue, which may be full.
    stop.click(ask_to_stop, stopping, stop, queue=False, **QUIET)
    emptied = [*filled, outdated.answered, outdated.problem, *results.outputs]
    clear.click(**ALL_ARRIVED)
    clear.click(None, js=_CLEAR_PADS, api_visibility="private")
    kept = clear.click(**remember)
    classes_panel.wire_removal(classes, remember)
    wire_clearing(remember)
    imports = _wire_import(classes, undo, remember["inputs"])
    waiting = json.dumps(gr.update(value="Bringing it back"))
    undo.button.click(None, None, undo.button, js=f"() => ({waiting})", **QUIET)
    undo.button.click(**ALL_ARRIVED)
    back = undo.button.click(brought_back, remember["inputs"], [*undo.outputs, *filled], **QUIET)
    ready = json.dumps(gr.update(value=undo.button.value))
    back.success(None, js=f"() => {{ {say('What was here is back.')} }}", **QUIET)
    for ended in (back.success, back.failure):
        ended(None, None, undo.button, js=f"() => ({ready})", **QUIET)
    clearing = kept.success(cleared, None, emptied, **QUIET)
    clearing.success(None, js=_TO_THE_WAY_BACK, api_visibility="private")
    pads = [*classes.pads, pad]
    changed = any_change([*held, *pads])
    replacing = [*classes.events, imports, *runs, clearing, back]
    keep_watch(outdated, held, changed, replacing)
    wire_taking_back(pads, outdated.problem)
    wire_kind(preset, preset_note, classes, settings, [load, imports, clearing, back])
    outlive_reload(
        page, "classify", held, changed, CLASSIFY_GIVEN, classify_again,
        [*classes.outputs, queries, preset],
    )  # fmt: skip
    kept = settings.inputs[:-1]
    outlive_reload(page, "settings", kept, changed, SETTINGS_GIVEN, settings_again, kept)
    outlive_reload(
        page, "model", [settings.model], changed, MODEL_GIVEN, fill_models,
        [settings.model, settings.status, settings.download],
    )  # fmt: skip
    return settings


def _wire_import(classes: ClassesPanel, undo: Undo, given: list[Any]) -> Dependency:
    """Let an upload fill the classes: in two steps, as reading a large zip takes minutes.

    The second finds the page as it is by then, so that what it replaces is kept whole.
    """
    button, reads = classes.upload, {"concurrency_id": "zip", "concurrency_limit": 2, **QUIET}
    waiting = [gr.update(interactive=False), progress_bar("Reading the zip")]
    button.upload(None, None, [button, classes.note], js=f"() => {json.dumps(waiting)}", **QUIET)
    read = button.upload(inputs.read_ahead, button, None, **reads)
    imports = read.then(**ALL_ARRIVED).then(
        import_remembered, [button, *given], [*undo.outputs, *classes.outputs], **reads
    )
    imports.failure(None, None, classes.note, js="() => ''", **QUIET)
    ready = json.dumps(gr.update(interactive=True))
    for ended in (imports.success, imports.failure):
        ended(None, None, button, js=f"() => ({ready})", **QUIET)
    return imports


@shown
def run_engine(
    buttons: RunButtons,
    stopping: dict[str, bool],
    asked: str,
    unsent: str,
    preset: str,
    gallery: inputs.Gallery,
    known: dict[str, str],
    about: str,
    before: Results | None,
    row: int,
    *values: Any,
) -> Iterator[list[Any]]:
    """Classify what the inputs hold: updates for buttons, ``answered`` and results, step by step.

    Args:
        buttons: that tell of it.
        stopping: "asked" is set there to end it.
        asked: what the inputs hold, as ``outdated.js`` puts it.
        unsent: what a pad is for that holds a drawing which was not added, or nothing.
        preset: a name in PRESETS.
        gallery: the queries.
        known: picture digest -> true class.
        about: HTML to show above the results.
        before, row: the results shown, and the number of the query whose cards are.
        values: of the settings and of the classes panel.
    """
    same = [gr.skip()] * (1 + results_panel.N_OUTPUTS)  # all but the problem
    stopping["asked"] = False
    try:
        yield [*buttons.begun(inputs.READING), gr.skip(), "", *same[1:]]
        check_none_unsent(unsent)
        choices = choices_of(values[:N_SETTINGS])
        steps = inputs.reading_first(
            given_in_steps(gallery, values[N_SETTINGS:]),
            lambda given: compare_in_steps(*given, preset, choices),
        )
        for step in legible(until_stopped(steps, stopping)):
            if not isinstance(step, Step):
                (support, queries), full = step
                clip_files.remember_pace(choices.model, full)
                caution = clip_files.cautioned(full.cautions, "under Settings", support.classes)
                notes = [*remarks(full, support, queries), get_preset(preset).note, caution]
                note = " ".join(filter(None, notes))
                learns = choices.steps != 0
                results = results_of(
                    full,
                    support,
                    queries,
                    known or {},
                    note,
                    learns and choices.transductive,
                    learns and choices.last_block and preset == "photos",
                )
                unfit = photographed(support.pictures, preset, CHOOSE_PHOTOS)
                message = notice(escaped(unfit), "problem") if unfit else ""
                # What an example shows is no news once its queries are gone.
                message += about if any(results.answers) else ""
                run_with = conditions(preset, settings_of(choices, preset), choices.model)
                left_out = classes_panel.left_out_of(values[N_SETTINGS:])
                answers = results_panel.results_shown(
                    results, full, run_with, message, left_out,
                    results_panel.same_row(before, row, results),
                )  # fmt: skip
                yield [*buttons.idle(), asked, "", *answers]
                return
            yield [*buttons.busy(step), gr.skip(), *same]
        yield [*buttons.idle(), gr.skip(), STOPPED, *same[1:]]
    except Exception as error:
        # First the buttons, and the sentence where it stays; then the toast, which goes.
        why = escaped(sentence(error))
        yield [*buttons.idle(), gr.skip(), notice(why, "problem"), *same[1:]]
        raise gr.Error(why, print_exception=False) from error


@shown
def load_example(event: gr.EventData) -> list[Any]:
    """Put the example task whose button it was into the inputs: updates for ``filled``."""
    task = example_task(event.target.elem_id.removeprefix(_EXAMPLE))
    by_class: dict[str, list[str]] = {name: [] for name in task.support.classes}
    for picture, label in zip(task.support.pictures, task.support.labels, strict=True):
        by_class[task.support.classes[label]].append(files.kept_picture(picture))
    known = {q.digest: a for q, a in zip(task.queries, task.answers, strict=True)}
    about = f"<b>{escaped(task.title)}.</b> {escaped(task.description)}"
    return [
        *classes_panel.filled([classes_panel.Slot(*item) for item in by_class.items()]),
        [files.kept_picture(query) for query in task.queries],
        task.preset,
        known,
        notice(about),
    ]


def cleared() -> list[Any]:
    """Updates for all inputs and results: as at the start, but for preset and settings."""
    shown = ["", "", *results_panel.nothing_shown()]
    return [*classes_panel.filled([]), [], gr.skip(), {}, "", *shown]
