"""The classes of the support set: ten slots, or a compact list when a zip holds more."""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
from gradio.events import Dependency

from fewshot import images
from fewshot.class_folders import ClassFolders
from fewshot.class_names import MAX_CLASS_NAME, class_name
from fewshot.types import InputError, SupportSet
from fewshot.ui import files, inputs
from fewshot.ui.aloud import say_what
from fewshot.ui.arrivals import ALL_ARRIVED, COUNT_UPLOADS
from fewshot.ui.engine import Step
from fewshot.ui.errors import shown
from fewshot.ui.markup import QUIET, block, class_list, escaped, notice, several
from fewshot.ui.pad import drawing_pad
from fewshot.ui.pictures import picture_gallery
from fewshot.ui.zips import hand_out, zip_of_folders

MAX_SLOTS = 10
FIRST_SLOTS = 2
# More than this are shown as a list even in a few classes: a slot shows each of its pictures.
MAX_SLOT_PICTURES = 200
N_OF_KIND = 7  # updates that :func:`slots_shown` returns
N_OUTPUTS = N_OF_KIND + 1 + 4 * MAX_SLOTS  # that :func:`filled` returns


_WITHOUT = Path(__file__).with_name("without_class.js").read_text("utf-8")
# No button that takes a class out can be pressed while one does; then the focus goes back.
_LOCKED = """() => {
  globalThis.startedBy = document.activeElement;
  document.querySelectorAll("#class-slots .remove").forEach((one) => (one.disabled = true));
}"""
_UNLOCKED = """() => {
  document.querySelectorAll("#class-slots .remove").forEach((one) => (one.disabled = false));
  globalThis.focusBack("#add-class");
}"""
_SAY_ADDED = f"(count) => {{ {say_what('`Class ${count} was added.`')} }}"


class Slot(NamedTuple):
    """What a slot holds: a name, a gallery's value or paths, and a description."""

    name: str = ""
    pictures: Sequence[Any] = ()
    description: str = ""


@dataclass(frozen=True)
class ClassesPanel:
    """The panel's components.

    Attributes:
        names: a textbox for each slot.
        galleries: a gallery for each slot.
        pads: what each gallery's drawings come from.
        descriptions: another textbox for each slot.
        columns: what a slot lies in.
        count: how many slots are shown. A hidden field, not a State: it lives as long as the
            slots, in the browser.
        add, upload: the buttons for one more slot, and for a zip.
        removes, drop_list: the buttons that take a slot's class away, or all imported ones.
        slots: what all slots lie in.
        imported: path of a zip that is shown as a list, or "".
        as_list: whether one is. A hidden field again: the session, which has the path, may end
            before the page is closed, and the slots behind the list must not answer in its place.
        listing: what the list lies in.
        compact: the list itself.
        note: what an import left out.
        events: that add or remove classes.
    """

    names: list[gr.Textbox]
    galleries: list[gr.Gallery]
    pads: list[gr.HTML]
    descriptions: list[gr.Textbox]
    columns: list[gr.Column]
    count: gr.Number
    add: gr.Button
    upload: gr.UploadButton
    removes: list[gr.Button]
    drop_list: gr.Button
    slots: gr.Column
    imported: gr.State
    as_list: gr.Checkbox
    listing: gr.Column
    compact: gr.HTML
    note: gr.HTML
    events: list[Dependency] = field(default_factory=list)

    @property
    def inputs(self) -> list[Any]:
        """What :func:`reading_support` takes, in its order."""
        return [self.imported, self.as_list, self.count, *self.slot_contents]

    @property
    def outputs(self) -> list[Any]:
        """What :func:`filled` and :func:`listed` return updates for, in their order."""
        return [*self.of_kind, self.count, *self.columns, *self.slot_contents]

    @property
    def of_kind(self) -> list[Any]:
        """What :func:`slots_shown` returns updates for."""
        form = [self.imported, self.as_list, self.listing, self.compact]
        return [*form, self.slots, self.note, self.add]

    @property
    def slot_contents(self) -> list[Any]:
        """All names, all galleries, all descriptions."""
        return [*self.names, *self.galleries, *self.descriptions]


def build_classes_panel() -> ClassesPanel:
    """Lay out the panel and wire what concerns it alone."""
    with gr.Column(elem_id="class-slots") as slots, gr.Row(elem_classes="slots"):
        parts = [_slot(i) for i in range(MAX_SLOTS)]
    with gr.Column(visible=False, elem_id="class-list") as listing:
        compact = block()
        drop_list = gr.Button("Remove the imported classes", size="sm", elem_id="drop-list")
    with gr.Row(elem_classes="tools"):
        add = gr.Button("Add a class", size="sm", elem_id="add-class", min_width=120)
        upload = gr.UploadButton(
            "Import a zip", file_types=[".zip"], size="sm", elem_id="import-zip", min_width=120
        )
        save = gr.Button("Save as a zip", size="sm", elem_id="save-classes", min_width=120)
    block(
        "In a zip: one folder of pictures per class, up to 100. An import replaces the classes "
        "above, in the order of names. A saved zip lacks descriptions and signs like / in names; "
        f"pictures of an import and TIFFs come back with at most {images.KEPT_SIDE} pixels a side.",
        elem_classes="hint",
        js_on_load=COUNT_UPLOADS,
    )
    note = block(elem_id="import-note")
    columns, names, galleries, pads, descriptions, removes = map(list, zip(*parts, strict=True))
    panel = ClassesPanel(
        names=names,
        galleries=galleries,
        pads=pads,
        descriptions=descriptions,
        columns=columns,
        count=gr.Number(FIRST_SLOTS, visible=False, precision=0),
        add=add,
        upload=upload,
        removes=removes,
        drop_list=drop_list,
        slots=slots,
        imported=gr.State("", time_to_live=86_400),
        as_list=gr.Checkbox(visible=False),
        listing=listing,
        compact=compact,
        note=note,
    )
    added = add.click(one_more, panel.count, [panel.count, *columns], **QUIET)
    added.success(None, panel.count, js=_SAY_ADDED, **QUIET)
    panel.events.append(added)
    hand_out(save, saved, panel.inputs, "saved-classes")
    return panel


def wire_removal(panel: ClassesPanel, remember: dict[str, Any]) -> None:
    """Let the buttons take classes away, once what is there is kept.

    Args:
        panel: of :func:`build_classes_panel`.
        remember: a listener that keeps it.
    """
    moved = [panel.count, *panel.columns, *panel.slot_contents]
    for i, button in enumerate(panel.removes):
        # One at a time: a second click would be for a slot whose class is about to move up.
        button.click(None, js=_LOCKED, api_visibility="private")
        button.click(**ALL_ARRIVED)
        kept = button.click(**remember)
        # Once more, for what set out meanwhile.
        remove = kept.success(**ALL_ARRIVED).success(
            None, [panel.count, *panel.slot_contents], moved, js=_without(i), **QUIET
        )
        for ended in (kept.failure, remove.then):
            ended(None, js=_UNLOCKED, api_visibility="private")
        panel.events.append(remove)
    panel.drop_list.click(**ALL_ARRIVED)
    panel.drop_list.click(**remember)
    panel.events.append(panel.drop_list.click(slots_shown, None, panel.of_kind, **QUIET))


def _without(i: int) -> str:
    numbers = {"FIRST": FIRST_SLOTS, "SLOTS": MAX_SLOTS, "INDEX": i}
    return re.sub("|".join(numbers), lambda found: str(numbers[found[0]]), _WITHOUT)


def _slot(i: int) -> tuple[gr.Column, gr.Textbox, gr.Gallery, gr.HTML, gr.Textbox, gr.Button]:
    visible = i < FIRST_SLOTS
    with gr.Column(
        elem_classes="slot", elem_id=f"class-{i + 1}", visible=visible, min_width=200
    ) as slot:
        with gr.Row(elem_classes="slot-head"):
            name = gr.Textbox(
                label=f"Name of class {i + 1}",
                placeholder=f"Name of class {i + 1}",
                show_label=False,
                container=False,
                max_length=MAX_CLASS_NAME,
                min_width=80,
                scale=4,
            )
            remove = gr.Button("Remove", size="sm", min_width=64, scale=0, elem_classes="remove")
        gallery = picture_gallery(f"Pictures of class {i + 1}", elem_id=f"pictures-{i + 1}")
        pad = drawing_pad(f"class {i + 1}", f"pad-{i + 1}", gallery)
        with gr.Accordion("Describe it", open=False, elem_classes="describe"):
            description = gr.Textbox(
                label=f"Description of class {i + 1}",
                placeholder="For CLIP, which reads it behind the name: with two wheels and pedals. "
                "The small embedded model hardly understands more than names.",
                show_label=False,
                container=False,
                lines=2,
                max_length=inputs.MAX_DESCRIPTION,
            )
    return slot, name, gallery, pad, description, remove


@shown
def one_more(count: float) -> list[Any]:
    """Show the next slot: updates for the count and the columns."""
    if count >= MAX_SLOTS:
        raise InputError(f"{MAX_SLOTS} classes fit here: import a zip for up to 100.")
    count = int(count) + 1
    columns = [gr.update(visible=i < count) for i in range(MAX_SLOTS)]
    return [count, *columns]


def slots_of(count: float, values: Sequence[Any]) -> list[Slot]:
    """The shown slots among the values of all names, all galleries and all descriptions."""
    columns = [values[i : i + MAX_SLOTS] for i in range(0, len(values), MAX_SLOTS)]
    slots = [Slot(n or "", p or [], d or "") for n, p, d in zip(*columns, strict=True)]
    return slots[: int(count)]


def filled(slots: Sequence[Slot], note: str = "") -> list[Any]:
    """Updates for the panel's outputs that show these classes in slots, at most MAX_SLOTS."""
    count = max(len(slots), FIRST_SLOTS)
    every = [*slots, *[Slot()] * (MAX_SLOTS - len(slots))]
    return [
        *slots_shown(note),
        count,
        *(gr.update(visible=i < count) for i in range(MAX_SLOTS)),
        *(slot.name for slot in every),
        *(list(slot.pictures) for slot in every),
        *(slot.description for slot in every),
    ]


def listed(path: str, found: ClassFolders, note: str = "") -> list[Any]:
    """Updates for the panel's outputs that show an imported zip as a list; slots keep theirs."""
    hidden, visible = gr.update(visible=False), gr.update(visible=True)
    # Gradio's folder is named by the content: for outdated.js another zip is another listing, and
    # reload.py finds it again.
    content = "/".join(Path(path).parts[-2:])
    compact = class_list(Path(path).name, found.classes, content)
    return [path, True, visible, compact, hidden, note, hidden, *[gr.skip()] * (1 + 4 * MAX_SLOTS)]


def slots_shown(note: str = "") -> list[Any]:
    """Updates for the first of the panel's outputs that show the slots, whatever they hold."""
    hidden, visible = gr.update(visible=False), gr.update(visible=True)
    return ["", False, hidden, "", visible, note, visible]


@shown
def imported(path: str) -> tuple[list[Any], bool]:
    """Updates for the panel's outputs that show an uploaded zip, and whether it could be used.

    What it lacks is warned of.
    """
    try:
        found = inputs.read_zip(path)
    except InputError as error:
        why = escaped(str(error))
        gr.Warning(why, title="Error")
        unchanged = [gr.skip()] * (2 + 4 * MAX_SLOTS)
        return [*[gr.skip()] * 5, notice(why, "problem"), *unchanged], False
    note = ""
    if found.skipped:
        gr.Warning(several(found.skipped), duration=20)
        note = notice(f"Left out: {several(found.skipped)}")
    n_pictures = sum(len(pictures) for _, pictures in found.classes)
    if len(found.classes) > MAX_SLOTS or n_pictures > MAX_SLOT_PICTURES:
        return listed(path, found, note), True
    kept = [Slot(name, [files.kept_picture(p) for p in ps]) for name, ps in found.classes]
    return filled(kept, note), True


@shown
def saved(*values: Any) -> str:
    """The zip of the classes that the panel shows: its path.

    Args:
        values: of the panel's inputs, in their order.
    """
    path, as_list, count, *slots = values
    if as_list:
        files.check_kept([still_kept(path)])
        return path
    folders = []
    for number, slot in enumerate(slots_of(count, slots), start=1):
        if not slot.pictures:
            continue
        if not slot.name.strip():
            raise InputError(f"Class {number} has pictures but no name: type one above.")
        files.check_kept(inputs.paths(slot.pictures))
        folders.append((class_name(slot.name), inputs.paths(slot.pictures)))
    if not folders:
        raise InputError("There are no pictures to save yet: add some to a class.")
    return zip_of_folders("classes.zip", folders)


def reading_support(values: Sequence[Any]) -> Generator[Step, None, SupportSet]:
    """The support set that the panel shows, told of as it is read.

    Args:
        values: of the panel's inputs, in their order.

    Raises:
        InputError: it is not one yet; says what is missing.
    """
    path, as_list, count, *slots = values
    if as_list:
        found = yield from inputs.in_steps(inputs.reading_zip(still_kept(path)))
        return images.support_set(found.classes)
    columns = zip(*slots_of(count, slots), strict=True)
    return (yield from inputs.in_steps(inputs.reading_slots(*columns)))


def left_out_of(values: Sequence[Any]) -> tuple[str, ...]:
    """A sentence for each file of the zip that the panel lists which could not be used."""
    path, as_list, *_ = values
    return inputs.read_zip(path).skipped if as_list and path else ()


def still_kept(path: str) -> str:
    """The path of an imported zip, or InputError where the session that had it is over."""
    if not path:
        raise InputError("The imported zip is no longer kept here: import it again.")
    return path
