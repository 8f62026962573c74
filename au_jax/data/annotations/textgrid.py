"""Praat TextGrids, in their long and short text form, read into events and written from them; `tiers` says what tiers mean.

Interval tiers hold events as their intervals with a label; blank ones are pauses. Point tiers hold points; one called as an
AU's with `apex` behind gives the apexes of its events. BORIS writes TextGrids too, with a tier per subject, the behaviours as
labels, `null` for pauses, and a number of tiers that is not theirs: tiers are read until the file ends.

Praat's text is a row of free-standing numbers, "strings" and <flags>; everything between them is decoration, which makes the
long form and the short form one.
"""

import math
import re
from collections.abc import Iterator
from pathlib import Path

from au_jax import files
from au_jax.data.annotations.events import Event, EventCodes
from au_jax.data.annotations.notation import parse_code, read_text
from au_jax.data.annotations.tiers import (
    CODED,
    POINT,
    Annotation,
    Tier,
    child_name,
    events_of_tiers,
    tiers_of_events,
    value_of,
)
from au_jax.data.recordings import Problem
from au_jax.errors import DataError

_TOKEN = re.compile(
    r'"(?P<string>(?:[^"]|"")*)"|(?<!\S)(?P<number>[-+]?[0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?)(?!\S)|<(?P<flag>\w+)>|![^\n]*'
)
_BLANK = ("", "null")
_Row = tuple[int | float, int | float, str]
"""Begin, end and label of an interval."""
_MOST = 1_000_000  # intervals


def read_textgrid(path: Path, *, person: str | None = None) -> EventCodes:
    """Reads a TextGrid.

    Args:
      path: text in UTF-8, UTF-16 or a Western code page.
      person: only the tiers of this person; None: all. A tier whose labels name AUs is its person's, as BORIS writes them.

    Returns:
      Events in seconds.

    Raises:
      DataError: no TextGrid, a binary or a cut one, intervals that run backwards, or no AU.

    Example:
      >>> import tempfile
      >>> path = Path(tempfile.mkdtemp()) / "clip.TextGrid"
      >>> write_textgrid(path, EventCodes((Event(12, 1.0, 2.5, intensity="C"),), (4, 12)), duration=4.0)
      >>> codes = read_textgrid(path)
      >>> codes.events[0].onset, codes.events[0].offset, codes.aus
      (1.0, 2.5, (4, 12))
    """
    text = read_text(path)
    if text.startswith("ooBinaryFile"):
        raise DataError(f"{path} is a binary Praat file; save it from Praat as text file or short text file")
    if "ooTextFile" not in text[:200] or '"TextGrid"' not in text[:400].replace("TextGrid text file", "TextGrid"):
        raise DataError(f"{path} is no Praat TextGrid (it begins {text[:40]!r}); save it from Praat as text file")
    problems: list[Problem] = []
    tiers = []
    for tier in _tiers(path, text, problems):
        # A tier of labels such as AU12 is that of its person, unless it is called FACS or the like.
        if parse_code(tier.name) is None and not re.search(r"(?i)\b(facs|aus?|face|codes?|coded)\b", tier.name):
            tier.person = tier.name
        tiers.append(tier)
    events, aus, spans = events_of_tiers(path, tiers, problems, person=person)
    return EventCodes(events, aus, spans, "seconds", (), str(path), tuple(problems))


def write_textgrid(
    path: Path, codes: EventCodes, *, duration: int | float | None = None, short: bool = False, encoding: str = "utf-8"
) -> None:
    """Writes a TextGrid that Praat opens beside the video's sound.

    Args:
      path: replaced if it exists.
      codes: in seconds; the apex of a point is the point.
      duration: seconds of the video; where the tiers and events with an open end stop. None: with the last event.
      short: the short form.
      encoding: "utf-8" or "utf-16".

    Raises:
      DataError: events in frame numbers, or an open end without a duration.

    Example:
      >>> codes = EventCodes((Event(12, 0.5, 2.0, intensity="C"),), aus=(12,))
      >>> write_textgrid(folder / "clip.TextGrid", codes, duration=4)
      >>> [(event.au, event.onset, event.offset, event.intensity) for event in read_textgrid(folder / "clip.TextGrid").events]
      [(12, 0.5, 2.0, 'C')]
    """
    if codes.unit != "seconds":
        raise DataError(f"{path}: TextGrids hold times; give events in seconds, by the video's frame times")
    ends = [duration, *(end for _, end in codes.spans), *(event.offset for event in codes.events)]
    begins = [0.0, *(begin for begin, _ in codes.spans), *(event.onset for event in codes.events)]
    known = [end for end in ends if end is not None]
    if not known or (duration is None and not codes.spans and any(event.offset is None for event in codes.events)):
        raise DataError(f"{path}: an event has an open end, which Praat does not know; say how long the video is")
    low, high = min(begins), max(known)
    stop = duration if duration is not None else high

    def end_of(event: Event) -> int | float:
        return stop if event.offset is None else event.offset

    tiers: list[tuple[str, str, list[_Row]]] = []  # class, name, (begin, end, label)
    if codes.spans:
        tiers.append(("IntervalTier", CODED, [(begin, end, CODED) for begin, end in sorted(codes.spans)]))
    for name, (_, events) in tiers_of_events(codes).items():
        lasting = [event for event in events if end_of(event) > event.onset]
        points = [event for event in events if end_of(event) <= event.onset]
        rows = [(event.onset, end_of(event), value_of(event) or "present") for event in lasting]
        if lasting or not points:
            tiers.append(("IntervalTier", name, rows))
        if points:
            rows = [(event.onset, event.onset, value_of(event) or "present") for event in points]
            tiers.append(("TextTier", child_name(name, POINT), rows))
        apexes = [(event.apex, event.apex, "apex") for event in lasting if event.apex is not None]
        if apexes:
            tiers.append(("TextTier", child_name(name, "apex"), apexes))
        if any(event.comment for event in lasting):
            rows = [(event.onset, end_of(event), event.comment) for event in lasting if event.comment]
            tiers.append(("IntervalTier", child_name(name, "comment"), rows))
        if any(event.comment for event in points):
            rows = [(event.onset, event.onset, event.comment) for event in points if event.comment]
            tiers.append(("TextTier", child_name(name, f"{POINT} comment"), rows))
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', ""]
    lines += [f"xmin = {low!r}", f"xmax = {high!r}", "tiers? <exists>", f"size = {len(tiers)}", "item []:"]
    for place, (kind, name, rows) in enumerate(tiers, start=1):
        points = kind == "TextTier"
        filled = [(begin, label) for begin, _, label in rows] if points else list(_filled(rows, low, high))
        what = "points" if points else "intervals"
        lines += [f"    item [{place}]:", f'        class = "{kind}"', f"        name = {_quoted(name)}"]
        lines += [f"        xmin = {low!r}", f"        xmax = {high!r}", f"        {what}: size = {len(filled)}"]
        for index, row in enumerate(filled, start=1):
            names = ("number", "mark") if points else ("xmin", "xmax", "text")
            lines.append(f"        {what} [{index}]:")
            lines += [
                f"            {word} = {_quoted(value) if isinstance(value, str) else repr(float(value))}"
                for word, value in zip(names, row, strict=True)
            ]
    if short:
        # Without decoration: what stands behind "=" and the flag.
        lines = lines[:3] + [
            line.split(" = ", 1)[1] if " = " in line else "<exists>"
            for line in lines[3:]
            if " = " in line or "<exists>" in line
        ]
    files.write_bytes(path, ("\n".join(lines) + "\n").encode(encoding))


def _tiers(path: Path, text: str, problems: list[Problem]) -> Iterator[Tier]:
    """The tiers, until the file ends."""
    tokens = _TOKEN.finditer(text)

    def following(kind: str, where: str) -> str:
        for match in tokens:
            if match.lastgroup is not None:
                if match.lastgroup != kind:
                    line = text.count("\n", 0, match.start()) + 1
                    raise DataError(
                        f"{path}, line {line}: a {kind} is expected in {where}, and {match[0][:40]!r} found; "
                        "save it from Praat again"
                    )
                return match[kind].replace('""', '"')
        raise DataError(f"{path} ends within {where}; save it from Praat again")

    def number(where: str) -> float:
        value = float(following("number", where))
        if not math.isfinite(value):
            raise DataError(f"{path}: {where} has a number that is too large; save it from Praat again")
        return value

    for where in ("file type", "object class"):
        following("string", f"the {where}")
    for _ in ("xmin", "xmax"):
        number("the header")
    if following("flag", "the header") != "exists":
        return
    told, read = int(number("the header")), 0
    while (match := next((match for match in tokens if match.lastgroup is not None), None)) is not None:
        kind = match["string"]
        if kind not in ("IntervalTier", "TextTier"):
            line = text.count("\n", 0, match.start()) + 1
            raise DataError(f"{path}, line {line}: {match[0][:40]!r} is no kind of tier; save it from Praat again")
        read += 1
        where = f"tier {read}"
        tier = Tier(" ".join(following("string", where).split()))
        where = f"tier {tier.name!r}"
        for _ in ("xmin", "xmax"):
            number(where)
        size = int(number(where))
        if not 0 <= size <= _MOST:
            raise DataError(f"{path}: {where} has {size} intervals; save it from Praat again")
        before = float("-inf")
        for index in range(size):
            begin = number(where)
            end = number(where) if kind == "IntervalTier" else begin
            label = " ".join(following("string", where).split())
            if end < begin or begin < before - 1e-6:
                raise DataError(
                    f"{path}: interval {index + 1} of {where} begins at {begin:g} and runs backwards; mend it in Praat"
                )
            before = end
            if label not in _BLANK:
                tier.annotations.append(Annotation(f"{read}.{index + 1}", label, begin, end))
        yield tier
    if read != told:
        text = f"says {told} tiers and has {read}, as BORIS writes them; all are read"
        problems.append(Problem("number of tiers", str(path), text))


def _filled(rows: list[_Row], low: int | float, high: int | float) -> Iterator[_Row]:
    """Intervals with blank ones between, before and behind them, as Praat wants them without gaps."""
    at = low
    for begin, end, label in rows:
        if begin > at:
            yield at, begin, ""
        yield max(begin, at), end, label
        at = end
    if high > at:
        yield at, high, ""


def _quoted(text: str) -> str:
    return '"' + " ".join(text.split()).replace('"', '""') + '"'
