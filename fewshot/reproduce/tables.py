"""The README's results, in Markdown, from the records alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fewshot.reproduce.experiments import (
    CURVE_METHODS,
    DRAWINGS_METHODS,
    KOCH,
    NAMES_AND_PICTURES,
)
from fewshot.reproduce.pair_space import as_sentences, pair_space
from fewshot.reproduce.published import (
    AT_RANDOM,
    AT_RANDOM_REMARK,
    DHILLON,
    GAINS,
    GAINS_REMARK,
    PEOPLE,
    WITHIN,
    WITHIN_REMARK,
    Figure,
)
from fewshot.reproduce.records import Records, find

NOTHING = "–"
_DISTORTED = {
    None: "as they are",
    "paper": "photographed on paper",
    "inverted": "inverted",
    "coloured": "coloured ink on coloured paper",
    "thick": "doubled stroke",
    "off-centre": "off centre on a larger sheet",
}


def block(records: Records, folder: str = "assets/results") -> str:
    """All sections that the records allow.

    Args:
        records: by experiment.
        folder: where the plots lie, seen from the README.
    """
    sections = [
        _drawings(records, "at random over alphabets", within=False),
        _drawings(records, "within alphabets", within=True),
        _transductive(records),
        _left_out(records.get("drawings")),
        _invented(records),
        _curves(records, folder),
        _published(records),
        "### The pairs there are\n\n" + as_sentences(pair_space(964, 20)),
        _distortions(records),
        _domains(records),
        _photos(records),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def percent(result: dict | None) -> str:
    """``96.4 ± 0.3 %``, or a dash."""
    if result is None:
        return NOTHING
    return f"{100 * result['accuracy']:.1f} ± {100 * result['ci95']:.1f} %"


def points(result: dict | None, digits: int = 1) -> str:
    """A paired difference in points, ``+0.1 ± 0.2``, or nothing."""
    if result is None or "difference" not in result:
        return ""
    mean, half = result["difference"]
    return f"{_signed(100 * mean, digits)} ± {100 * half:.{digits}f}"


def _signed(value: float, digits: int = 1) -> str:
    return f"{value:+.{digits}f}".replace("-", "−")


def _drawings(records: Records, title: str, *, within: bool) -> str:
    record = records.get("drawings")
    columns = [
        (ways, shots)
        for ways in (5, 20)
        for shots in (1, 5)
        if _any(record, ways=ways, shots=shots, within_alphabet=within)
    ]
    if not columns:
        return ""
    rows = []
    for method in (*DRAWINGS_METHODS, KOCH):
        found = [
            find(
                _record_of(records, method), method, ways=ways, shots=shots, within_alphabet=within
            )
            for ways, shots in columns
        ]
        if any(found):
            rows.append(
                [f"`{method}`{_fewer(found, _most(record))}", *map(_with_difference, found)]
            )
    head = [title, *(f"{ways}-way {shots}-shot" for ways, shots in columns)]
    told = "" if within else _protocol(record)
    return told + table(head, rows)


def _record_of(records: Records, method: str) -> dict | None:
    """Which experiment on evaluation drawings has a method."""
    return records.get(KOCH if method == KOCH else "drawings")


def _protocol(record: dict) -> str:
    data, most = record["data"], _most(record)
    return (
        "### Drawings\n\n"
        f"{data['classes']} evaluation characters that no training saw, {most:,} episodes of one "
        f"query a class, seed {record['seed']}; ± is the 95 % interval over episodes. In brackets, "
        "the difference from `prototype` on the same episodes, in points, with its own interval.\n"
        "\n"
    )


def _with_difference(result: dict | None) -> str:
    difference = points(result)
    return f"{percent(result)} ({difference})" if difference else percent(result)


def _any(record: dict | None, **protocol: object) -> bool:
    return any(find(record, method, **protocol) for method in DRAWINGS_METHODS)


def _most(record: dict) -> int:
    return max(result["episodes"] for run in record["runs"] for result in run["results"])


def _fewer(found: Sequence[dict | None], most: int) -> str:
    """What to say of a method that saw only the first of the episodes."""
    count = max(result["episodes"] for result in found if result)
    return f", the first {count:,} of them" if count < most else ""


def _transductive(records: Records) -> str:
    record = records.get("transductive")
    if record is None:
        return ""
    rows = []
    for run in record["runs"]:
        asked = run["protocol"]
        start, tuned = (find(record, name, **asked) for name in ("prototype", "finetune"))
        where = "within alphabets" if asked["within_alphabet"] else "at random"
        errors = f"{start['calibration_error']:.2f}, {tuned['calibration_error']:.2f}"
        told = f"{asked['ways']}-way 1-shot {where}"
        rows.append([told, percent(start), percent(tuned), points(tuned), errors])
    head = ["drawings", "`prototype`", "`finetune`, transductive", "gain, points"]
    return (
        "With the option *transductive*, `finetune` sees all queries of an episode at once, one of "
        "each class here, and answers each in the light of the others; it leans towards classes "
        f"that occur equally often, as they do in these episodes. {_most(record):,} of them, at 5 "
        "and 20 ways those above; for the calibration error see *Photos and symbols*.\n\n"
    ) + table([*head, "calibration error of the two"], rows)


def _left_out(record: dict | None) -> str:
    told = [
        f"`{name}` ({why.rstrip('.')})" for name, why in (record or {}).get("left_out", {}).items()
    ]
    return f"Not measured: {'; '.join(told)}." if told else ""


def _invented(records: Records) -> str:
    record = records.get("invented")
    if record is None:
        return ""
    found = {method: find(record, method, ways=20, shots=1) for method in DRAWINGS_METHODS}
    shown = [
        f"`{method}`{_fewer([result], _most(record))} {percent(result)}"
        for method, result in found.items()
        if result
    ]
    return (
        "Without any data, on an alphabet that the project draws itself "
        f"({record['data']['classes']} characters, five of them look-alikes, in a hurry, on four "
        f"kinds of ground), 20-way 1-shot, {_most(record):,} episodes: {'; '.join(shown)}."
    )


def _curves(records: Records, folder: str) -> str:
    parts = []
    if "ways-evaluation" in records:
        parts.append(
            f"![Accuracy against ways]({folder}/ways.svg)\n\n"
            f"![The same, of the trained methods]({folder}/ways-close.svg)\n\n"
            "Unseen: evaluation characters; seen: as many of those trained on. \\* People's "
            f"{PEOPLE.accuracy} % ({PEOPLE.paper}) is on Lake's 20 official runs, 20 characters of "
            "one alphabet at a time, which is harder than characters of any alphabet, as the "
            "curves have them; so it is no proof that a curve above it beats people."
        )
        rows = []
        for split in ("evaluation", "training"):
            record = records.get(f"ways-{split}")
            for method in CURVE_METHODS:
                found = [find(record, method, ways=ways) for ways in (5, 20, 40, 60)]
                if any(found):
                    seen = "unseen" if split == "evaluation" else "seen"
                    rows.append([f"`{method}`, {seen}", *map(percent, found)])
        parts.append(table(["1-shot", "5-way", "20-way", "40-way", "60-way"], rows))
    if "shots-evaluation" in records:
        parts.append(
            f"![Accuracy against shots]({folder}/shots.svg)\n\n"
            f"![The same, of the trained methods]({folder}/shots-close.svg)"
        )
    return "\n\n".join(["### Against ways and shots", *parts]) if parts else ""


def _published(records: Records) -> str:
    """Both lists, ours beside them where we have it."""
    lake = records.get("lake")
    at_random = [
        [*_named(figure), _on_drawings(records, figure, within_alphabet=False)]
        for figure in AT_RANDOM
    ]
    within = []
    for figure in WITHIN:
        row = [*_named(figure), _on_drawings(records, figure, within_alphabet=True)]
        within.append([*row, _ours(lake, figure)] if lake else row)
    best = "prototype"
    ours = _named_percent(records.get("drawings"), best, within_alphabet=True)
    last = [f"(`{best}` of this project)", "", ours]
    within.append([*last, _named_percent(lake, best)] if lake else last)
    head = ["20-way 1-shot", "published", "ours, other characters"]
    official = ["ours, official runs"] if lake else []
    return "\n\n".join(
        [
            "### Beside the published figures",
            table([f"{head[0]}, at random", *head[1:]], at_random),
            AT_RANDOM_REMARK,
            table([f"{head[0]}, within alphabets", *head[1:], *official], within),
            WITHIN_REMARK,
        ]
    )


def _named(figure: Figure) -> list[str]:
    remark = f"; {figure.remark}" if figure.remark else ""
    return [f"{figure.what} ({figure.paper}{remark})", f"{figure.accuracy} %"]


def _on_drawings(records: Records, figure: Figure, **protocol: object) -> str:
    return _ours(_record_of(records, figure.ours), figure, **protocol) if figure.ours else NOTHING


def _ours(record: dict | None, figure: Figure, **protocol: object) -> str:
    return _named_percent(record, figure.ours, **protocol) if figure.ours else NOTHING


def _named_percent(record: dict | None, method: str, **protocol: object) -> str:
    result = find(record, method, ways=20, shots=1, **protocol)
    return f"`{method}` {percent(result)}" if result else NOTHING


def _distortions(records: Records) -> str:
    record = records.get("distortions")
    if record is None:
        return ""
    rows = [
        [said, percent(find(record, "prototype", distortion=name))]
        for name, said in _DISTORTED.items()
    ]
    return (
        "### Drawings as people hand them in\n\n"
        f"`prototype`, 5-way 5-shot, 3 queries a class, {_most(record):,} episodes.\n\n"
    ) + table(["drawings", "accuracy"], rows)


def _domains(records: Records) -> str:
    record = records.get("domains")
    if record is None:
        return ""
    rows = []
    for run in record["runs"]:
        asked = run["protocol"]
        start, mapped = (find(record, name, **asked) for name in ("prototype", "tca"))
        if start and mapped:
            told = (
                f"{asked['distortion']}, {asked['ways']}-way, queries a class: {asked['queries']}"
            )
            rows.append([told, percent(start), percent(mapped), points(mapped)])
    if not rows:
        return ""
    return (
        "### Queries from another domain\n\n"
        f"1-shot, {_most(record):,} episodes: the supports are drawings as they are, the queries "
        "other drawings, out of focus (*blurred*) or in a broad pen, photographed from afar and "
        "out of focus (*rough*). `tca` sees all queries of an episode at once, which helps by "
        "itself, too.\n\n"
    ) + table(["queries", "`prototype`", "`tca`", "gain, points"], rows)


def _photos(records: Records) -> str:
    rows = [*_zero_shot(records, "nouns"), *_zero_shot(records, "latin")]
    parts = [table(["zero-shot", "accuracy (± over pictures)"], rows)] if rows else []
    parts.append(_names_and_pictures(records))
    tuned = _tuned(records)
    parts = [part for part in (*parts, tuned, GAINS_REMARK if tuned else "") if part]
    return (
        "\n\n".join(["### Photos and symbols, with the small embedded CLIP", *parts])
        if parts
        else ""
    )


def _zero_shot(records: Records, name: str) -> list[list[str]]:
    record = records.get(name)
    if record is None:
        return []
    result, data = record["runs"][0]["results"][0], record["data"]
    said = {"nouns": "nouns, unseen pictures of them", "latin": "letters, people's drawings"}[name]
    top5 = f" (top-5 {100 * result['top5']:.1f} %)" if data["classes"] > 50 else ""
    return [[f"{data['classes']} {said}, {result['queries']:,} of them", percent(result) + top5]]


def _names_and_pictures(records: Records) -> str:
    names = {"names-known": "names it was trained on", "names-new": "names it was not"}
    found = {name: records[name] for name in names if name in records}
    if not found:
        return ""
    rows = []
    for name, record in found.items():
        for run in record["runs"]:
            asked = run["protocol"]
            cells = [
                _with_difference(find(record, method, **asked)) for method in NAMES_AND_PICTURES
            ]
            rows.append([f"{names[name]}, {asked['shots']}-shot", *cells])
    record = next(iter(found.values()))
    asked = record["runs"][0]["protocol"]
    return (
        f"Names and pictures together, {asked['ways']}-way, {_most(record):,} episodes of "
        f"{asked['queries']} queries a class, of pictures that no training saw; in brackets, the "
        "difference from `clip`, which reads the names alone.\n\n"
    ) + table(["embedded CLIP", *(f"`{m}`" for m in NAMES_AND_PICTURES)], rows)


def _tuned(records: Records) -> str:
    rows = []
    for gain in GAINS:
        kind = "transductive" if gain.transductive else "inductive"
        record = records.get(f"finetune-{kind}")
        start, tuned = (find(record, m, shots=gain.shots) for m in ("prototype", "finetune"))
        if start is None or tuned is None:
            continue
        low, high = min(gain.gains.values()), max(gain.gains.values())
        rows.append(
            [
                f"{gain.shots}-shot, {kind}",
                percent(start),
                percent(tuned),
                points(tuned, 2),
                f"{start['calibration_error']:.2f}, {tuned['calibration_error']:.2f}",
                f"{_signed(low)} to {_signed(high)}",
            ]
        )
    if not rows:
        return ""
    record = records.get("finetune-inductive") or records["finetune-transductive"]
    head = [
        *["5-way", "`prototype`", "`finetune`", "gain, points", "calibration error of the two"],
        f"published gain ({DHILLON})",
    ]
    return (
        f"{record['data']['classes']} nouns kept out of training, {_most(record):,} episodes of "
        f"{record['runs'][0]['protocol']['queries']} queries a class, gains on the same episodes. "
        "Transductive: it sees all queries of an episode at once. Calibration error (expected, 15 "
        "bins): by how much an answer's percentage is off, 0 where of all answers given with 70 % "
        "seven in ten are right.\n\n"
    ) + table(head, rows)
