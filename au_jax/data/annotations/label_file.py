"""One interface to all label files: `read_codes` makes codes per frame of a file of any kind that is known here.

The kind follows from the content, and from the name where that decides: frame tables and trackers' tables (`table`), tables of
events (`event_table`), ELAN (`elan`), Praat (`textgrid`), BORIS projects and exports (`boris`), Datavyu (`datavyu`).

Frame numbers are those of the recording, 1 in a video; times of frame tables count from the first frame, and those of
coders' programs on the player's clock, which begins earlier where the sound does.
"""

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from au_jax.data.annotations.boris import read_boris
from au_jax.data.annotations.codes import Codes, Facts
from au_jax.data.annotations.columns import Coding
from au_jax.data.annotations.datavyu import read_datavyu
from au_jax.data.annotations.elan import read_elan
from au_jax.data.annotations.event_table import is_event_header, read_event_table, with_coded
from au_jax.data.annotations.events import EventCodes
from au_jax.data.annotations.frame_times import FrameClock
from au_jax.data.annotations.notation import FRAMES, LETTERS, byte_order
from au_jax.data.annotations.table import FrameTable, frame_codes, parse_table
from au_jax.data.annotations.textgrid import read_textgrid
from au_jax.data.recordings import Problem, safe_name
from au_jax.errors import DataError
from au_jax.labels import MISSING, PRESENT, listed

LABEL_SUFFIXES = (".csv", ".tsv", ".txt", ".eaf", ".textgrid", ".boris", ".boris.gz", ".opf")
"""Ends of the names of label files."""

ELAN, TEXTGRID, DATAVYU = "ELAN", "Praat TextGrid", "Datavyu"
BORIS, BORIS_EXPORT = "BORIS project", "BORIS export"
EVENT_TABLE, FRAME_TABLE = "event table", "frame table"

_HEAD = 1 << 16  # bytes at the begin of a file, which tell its kind
_LINES = 200


def is_label_file(name: str) -> bool:
    """Whether a file can be one of labels by its name.

    Example:
      >>> [is_label_file(name) for name in ("clip.EAF", "clip.boris.gz", "clip.mp4")]
      [True, True, False]
    """
    return name.lower().endswith(LABEL_SUFFIXES)


def label_stem(name: str) -> str:
    """A label file's name without its ending: `clip.boris.gz` -> `clip`.

    Example:
      >>> label_stem("take.1.boris.gz"), label_stem("take.1.eaf")
      ('take.1', 'take.1')
    """
    ending = max((suffix for suffix in LABEL_SUFFIXES if name.lower().endswith(suffix)), key=len, default="")
    return name[: len(name) - len(ending)] if ending else Path(name).stem


def kind_of(path: Path) -> str:
    """The kind of a label file, one of the constants above.

    Raises:
      DataError: it cannot be opened.

    Example:
      >>> import tempfile
      >>> path = Path(tempfile.mkdtemp()) / "clip.txt"
      >>> _ = path.write_text("AU;onset_s;offset_s\\n12;1,5;2\\n")
      >>> kind_of(path)
      'event table'
    """
    try:
        with open(path, "rb") as stream:
            head = stream.read(_HEAD)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); check its name and permissions") from error
    name = path.name.lower()
    text = head.decode(byte_order(head) or "utf-8", errors="replace").lstrip("\ufeff")
    begin = text.lstrip()[:400]
    if name.endswith(".eaf") or "<ANNOTATION_DOCUMENT" in text[:4000]:
        return ELAN
    if (
        name.endswith(".textgrid")
        or head.startswith(b"ooBinaryFile")
        or ("ooTextFile" in begin and "TextGrid" in begin)
    ):
        return TEXTGRID
    if name.endswith(".opf"):
        return DATAVYU
    if name.endswith((".boris", ".boris.gz")):
        return BORIS
    for line in text.splitlines()[:_LINES]:
        delimiter = max("\t;,", key=line.count)
        try:
            cells = [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter), [])]
        except csv.Error:
            continue
        if "Behavior" in cells and {*cells} & {"Time", "Start (s)", "Start"} and {*cells} & {
            "Observation id", "Behavior type", "Status", "Media file path", "Media file name", "Media file"
        }:  # fmt: skip
            return BORIS_EXPORT
        if is_event_header(cells):
            return EVENT_TABLE
    return FRAME_TABLE


def read_codes(
    path: Path,
    coding: Coding,
    *,
    first: int = 1,
    clock: Callable[[], FrameClock] | None = None,
    media: str = "",
    person: str = "",
) -> Codes:
    """Reads a label file of any kind.

    Args:
      path: the file.
      coding: which AUs are read, and how.
      first: number of the recording's first frame.
      clock: gives the recording's frames and their times; asked only for files of times or events.
      media: name of the video, for files that hold codes of several.
      person: whose face it shows, for files that hold codes of several.

    Returns:
      The codes, with `facts` for the check.

    Raises:
      DataError: the file cannot be read; it has no code of the AUs asked for; its codes, or most of them, meet no frame.

    Example:
      >>> import tempfile
      >>> from au_jax.data.annotations.frame_times import regular_clock
      >>> path = Path(tempfile.mkdtemp()) / "clip.csv"
      >>> _ = path.write_text("AU,onset_ms,offset_ms\\n12,40,120\\n")
      >>> codes = read_codes(path, Coding(aus=(12,)), clock=lambda: regular_clock(5, 25))
      >>> codes.frames.tolist(), codes.labels[:, 0].tolist(), codes.facts.kind
      ([1, 2, 3, 4, 5], [-1, 1, 1, -1, -1], 'event table')
    """
    if kind_of(path) == FRAME_TABLE:
        return codes_of_table(parse_table(path, coding), coding, first, clock)
    if clock is None:
        raise DataError(f"{path} has events; the video whose frames they cover is needed")
    frames = clock()
    return codes_of_events(
        read_events(path, coding, fps=frames.fps, media=media, person=person), coding, frames, kind_of(path)
    )


def read_events(
    path: Path, coding: Coding, *, fps: float | None = None, media: str = "", person: str = ""
) -> EventCodes:
    """Reads a file of events of any kind, and chooses the person where it has several.

    Args:
      path, coding, media, person: as for `read_codes`.
      fps: frames a second, for timecodes.

    Raises:
      DataError: it cannot be read, or has several people of whom none is called `person`.

    Example:
      >>> path = folder / "clip.csv"
      >>> _ = path.write_text("AU,onset_s,offset_s\\n12,1.5,2.25\\n")
      >>> codes = read_events(path, Coding(coded=(6,)))
      >>> codes.events[0].onset, codes.events[0].offset, codes.aus
      (1.5, 2.25, (6, 12))
    """
    kind = kind_of(path)

    def of_video(read: Callable[[str], EventCodes]) -> EventCodes:
        try:
            return read(media)
        except DataError as error:
            # A copy of the video may have another name than the one that was coded; of several nobody knows which.
            try:
                codes = read("")
            except DataError:
                raise error from None
            text = f"is of {', '.join(codes.media) or 'no video'}, and taken for {media}"
            return replace(codes, problems=(*codes.problems, Problem("video of another name", str(path), text)))

    def read(name: str | None) -> EventCodes:
        if kind == ELAN:
            return of_video(lambda video: read_elan(path, media=video, person=name))
        if kind == TEXTGRID:
            return read_textgrid(path, person=name)
        if kind == DATAVYU:
            return read_datavyu(path, person=name)
        if kind in (BORIS, BORIS_EXPORT):
            return of_video(lambda video: read_boris(path, media=video, person=name, aus=coding.coded))
        codes = read_event_table(path, unit=coding.unit, fps=fps, aus=coding.coded)
        return codes if name is None else codes.of_person(name)

    codes = read(None)
    if len(codes.persons) > 1:
        # Readers' names of subjects are letters, digits and underscores.
        match = next((name for name in codes.persons if safe_name(name).lower() == safe_name(person).lower()), None)
        if match is None:
            names = ", ".join(repr(name) for name in codes.persons)
            raise DataError(
                f"{path} has codes of {names}, and none of them is called {person!r}; rename the one who is meant"
            )
        codes = read(match)
    return with_coded(codes, coding.coded)


def codes_of_events(codes: EventCodes, coding: Coding, clock: FrameClock, kind: str = EVENT_TABLE) -> Codes:
    """Codes per frame of events.

    Args:
      codes: from `read_events`.
      coding: its AUs, level, offset and first number.
      clock: of the recording; kind: for the check.

    Raises:
      DataError: no event of the AUs asked for; most events, or all spans, meet no frame.

    Example:
      >>> from au_jax.data.annotations.events import Event
      >>> from au_jax.data.annotations.frame_times import regular_clock
      >>> events = EventCodes((Event(12, 0.04, 0.12),), aus=(12,))
      >>> codes = codes_of_events(events, Coding(aus=(12,)), regular_clock(5, 25))
      >>> codes.frames.tolist(), codes.labels[:, 0].tolist()
      ([1, 2, 3, 4, 5], [-1, 1, 1, -1, -1])
    """
    aus = tuple(au for au in coding.aus if au in codes.aus)
    if not aus:
        raise DataError(
            f"{codes.path} has codes of AU {listed(codes.aus)} and none of config.data.aus ({listed(coding.aus)}); mend these"
        )
    level = LETTERS[coding.level - 1]
    if codes.unit == FRAMES:
        own = int(clock.numbers[0])
        number = own if coding.first is None else coding.first
        # Numbers may have gaps: frames that are not there are left out below.
        whole = np.arange(own, int(clock.numbers[-1]) + 1)
        met = codes.frame_codes(np.arange(len(whole)) / clock.fps, coding.aus, level=level, first=number)
        rows = clock.numbers - own
        clock_text = f"frame numbers from {number}"
    else:
        moved = codes.shifted(coding.offset) if coding.offset else codes
        met = moved.frame_codes(clock.times + clock.start, coding.aus, level=level)
        rows = np.arange(len(clock.numbers))
        clock_text = "seconds of the player" + (f", whose first frame is at {clock.start:g}" if clock.start else "")
    lost = sum(problem.count for problem in met.problems)
    if 2 * lost > len(codes.events):
        raise DataError(
            f"{codes.path}: {met.problems[0].text}, most of {len(codes.events)}; check unit, clock and offset"
        )
    labels, grades = met.labels[rows], met.intensities[rows]
    inside = np.flatnonzero((labels != MISSING).any(1))
    if not len(inside):
        raise DataError(f"{codes.path}: no frame of the video lies in what was coded; check unit, clock and offset")
    kept = slice(inside[0], inside[-1] + 1)
    unused = tuple(f"au{au}" for au in codes.aus if au not in coding.aus)
    facts = Facts(
        kind, clock_text, coding.offset if codes.unit != FRAMES else 0.0, int(clock.numbers[inside[0]]),
        int(clock.numbers[inside[-1]]), sum(event.au in aus for event in codes.events),
    )  # fmt: skip
    problems = (*codes.problems, *met.problems)
    return Codes(clock.numbers[kept], labels[kept], aus, unused, False, problems, grades[kept], facts)


def codes_of_table(table: FrameTable, coding: Coding, first: int, clock: Callable[[], FrameClock] | None) -> Codes:
    """Codes per frame of a frame table, with its facts; see `read_codes`.

    Example:
      >>> path = folder / "clip.csv"
      >>> _ = path.write_text("frame,AU12\\n1,0\\n2,1\\n3,1\\n")
      >>> coding = Coding(aus=(12,))
      >>> codes = codes_of_table(parse_table(path, coding), coding, first=1, clock=None)
      >>> codes.labels[:, 0].tolist(), codes.facts.kind, codes.facts.events
      ([-1, 1, 1], 'frame table', 1)
    """
    numbered = table.unit == FRAMES
    codes = frame_codes(table, coding, first, None if numbered or clock is None else clock())
    coded = codes.frames[codes.labels.any(1)]
    if not len(coded):
        raise DataError(
            f"{table.path} has no code of config.data.aus ({listed(coding.aus)}), only missing ones; remove it"
        )
    begin = (codes.labels == PRESENT) & ~np.roll(codes.labels == PRESENT, 1, axis=0)
    begin[0] = codes.labels[0] == PRESENT
    from_zero = any(problem.kind == "counts from 0" for problem in codes.problems) or table.first == 0
    start = coding.first if coding.first is not None else 0 if from_zero else first
    clock_text = f"frame numbers from {start}" if numbered else "seconds from the first frame"
    facts = Facts(
        table.kind, clock_text, 0.0 if numbered else coding.offset, int(coded[0]), int(coded[-1]), int(begin.sum())
    )
    return replace(codes, facts=facts)


def last_moment(path: Path, coding: Coding, fps: float) -> float:
    """The last time of which a label file tells, in seconds, where there is no video to ask.

    Args:
      path, coding: as for `read_codes`.
      fps: frames a second.

    Example:
      >>> path = folder / "clip.csv"
      >>> _ = path.write_text("AU,onset_s,offset_s\\n12,1.5,2.25\\n4,3,3.5\\n")
      >>> last_moment(path, Coding(aus=(4, 12)), fps=25)
      3.5
    """
    if kind_of(path) == FRAME_TABLE:
        table = parse_table(path, coding)
        first = coding.first if coding.first is not None else 0 if len(table.at) and table.at[0] == 0 else 1
        return float((table.at[-1] - first + 1) / fps if table.unit == FRAMES else table.at[-1] + 1 / fps)
    codes = read_events(path, coding, fps=fps)
    ends = [end for _, end in codes.spans] + [
        event.onset if event.offset is None else event.offset for event in codes.events
    ]
    last = float(max(ends, default=0.0))
    return last / fps if codes.unit == FRAMES else last
