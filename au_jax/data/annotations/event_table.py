"""Tables of events: a row per event with its AU, onset and offset, in any delimiter, decimal mark and unit.

    person;au;side;onset_s;apex_s;offset_s;intensity;comment
    P1;12;L;1,32;1,8;2,64;C;smile

Columns are known by their names, in any order: `au` (or `action unit`, `code`, `behavior`, `tier`, `annotation` ...), `onset`
(`start`, `begin`), and if present `offset` (`end`, `stop`) or `duration`, `apex`, `side`, `intensity`, `label`, `person` and
`comment`. The unit stands in the name (`onset_ms`, `Begin Time - ss.msec`, `start [frame]`), or follows from cells such as
`00:01:02.5` or `1.25`, or is told; it is never guessed from whole numbers. A blank offset is an open end. A row whose AU is
`coded` gives a span that was coded; a row with an AU and no times says that this AU was coded and did not occur.
"""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from au_jax import files
from au_jax.data.annotations.events import Event, EventCodes
from au_jax.data.annotations.notation import (
    FRAMES,
    LETTERS,
    MILLISECONDS,
    SECONDS,
    TIMECODE,
    UNIT_WORDS,
    UNITS,
    exact_rate,
    format_timecode,
    parse_codes,
    parse_intensity,
    parse_side,
    parse_time,
    read_text,
)
from au_jax.data.recordings import Problem
from au_jax.errors import DataError
from au_jax.labels import ABSENT, MISSING, PRESENT

_ROLES = {
    "onset": {"onset", "start", "begin", "beginn", "from"},
    "offset": {"offset", "end", "stop", "ende", "to"},
    "duration": {"duration", "length", "dauer"},
    "apex": {"apex", "peak"},
    "au": {
        "au",
        "aus",
        "action unit",
        "action units",
        "code",
        "behavior",
        "behaviour",
        "facs",
        "tier",
        "event",
        "label",
    },
    "value": {"annotation", "value"},
    "side": {"side", "laterality", "location", "hemiface"},
    "intensity": {"intensity", "level", "strength", "grade"},
    "label": {"present", "presence", "coding"},
    "person": {"person", "subject", "participant", "face", "id"},
    "comment": {"comment", "comments", "note", "notes", "remark", "remarks"},
}
_TIMES = ("onset", "offset", "duration", "apex")
_SHORT = {SECONDS: "s", MILLISECONDS: "ms", FRAMES: "frame", TIMECODE: "timecode"}
_LABELS = {"present": PRESENT, "absent": ABSENT, "missing": MISSING}
_HEADER_LINES = 20
_ROWS = 1_000_000


@dataclass(frozen=True)
class _Column:
    role: str
    place: int
    unit: str  # of UNIT_WORDS, or ""


def read_event_table(
    path: Path,
    *,
    unit: str = "",
    fps: int | float | Fraction | None = None,
    start: str = "",
    inclusive: bool | None = None,
    aus: Sequence[int] = (),
    columns: Mapping[str, str] | None = None,
) -> EventCodes:
    """Reads a table of events.

    Args:
      path: text: comma, semicolon or tab between cells; UTF-8, UTF-16 or a Western code page.
      unit: of plain numbers, where the header does not say: "seconds", "milliseconds", "frames" or "timecode".
      fps: frames a second that timecodes count.
      start: time or timecode of the video's first frame; it is subtracted. Not for frame numbers.
      inclusive: whether the offset is the last frame, rather than the moment at which it is over; None: for frame numbers.
      aus: AUs that were coded, those that never occurred included; empty: those in the table.
      columns: role ("au", "onset", "offset" ...) -> the column's name, where it is not a usual one.

    Raises:
      DataError: not text, no header, a time that cannot be read, an unknown unit, an offset before its onset.

    Example:
      >>> import tempfile
      >>> path = Path(tempfile.mkdtemp()) / "events.csv"
      >>> _ = path.write_text("AU;onset_s;offset_s;intensity\\n12;1,5;2,25;C\\n4;3;;\\n")
      >>> for event in read_event_table(path).events:
      ...     print(event.au, event.onset, event.offset, event.intensity)
      12 1.5 2.25 C
      4 3.0 None None
    """
    if unit and unit not in UNITS:
        raise DataError(f"times of events cannot be in {unit!r}; choose one of {', '.join(UNITS)}")
    lines, header, rows = _rows(path, columns or {})
    roles = {role: _chosen(header, role) for role in _ROLES}
    by_role = {role: column for role, column in roles.items() if column is not None}
    units = _units(path, by_role, rows, lines, unit)
    if FRAMES in units.values() and set(units.values()) != {FRAMES}:
        raise DataError(f"{path} has some times in frames and others in {SECONDS}; give all in one unit")
    frames = FRAMES in units.values()
    inclusive = frames if inclusive is None else inclusive
    if inclusive and not frames and fps is None:
        raise DataError(
            f"{path}: whether a last frame belongs to its event matters with a frame rate; say how many frames a second"
        )
    origin = 0.0
    if start and not frames:
        try:
            origin = parse_time(start, unit or SECONDS, fps)
        except ValueError as error:
            raise DataError(f"{path}: its start {start!r} cannot be read ({error})") from error

    events: list[Event] = []
    spans: list[tuple[float, float]] = []
    coded, unknown = set(aus), []
    for line, row in zip(lines, rows, strict=True):

        def cell(role: str, row: list[str] = row) -> str:
            column = by_role.get(role)
            return row[column.place].strip() if column is not None and column.place < len(row) else ""

        def moment(role: str, line: int = line, cell=cell) -> float | None:
            text = cell(role)
            if not text or text.lower() in ("na", "n/a", "nan", "-"):
                return None
            try:
                return parse_time(text, units[role] if units[role] in UNITS else SECONDS, fps)
            except ValueError as error:
                raise DataError(f"{path}, line {line}: its {role} cannot be read ({error}); mend it") from error

        name = " ".join(part for part in (cell("au"), cell("value")) if part)
        onset, offset, apex, duration = (moment(role) for role in ("onset", "offset", "apex", "duration"))
        if "offset" not in by_role and "duration" not in by_role:
            offset = onset
        elif offset is None and duration is not None and onset is not None:
            offset = onset + duration - frames
        extra = 0.0 if not inclusive or frames else 1 / float(exact_rate(fps or 1))
        if onset is not None and offset is not None:
            if offset < onset:
                raise DataError(
                    f"{path}, line {line}: the offset {cell('offset')} lies before the onset {cell('onset')}; mend it"
                )
            offset += extra
        if name.lower() in ("coded", "coded span"):
            if onset is None or offset is None:
                raise DataError(f"{path}, line {line}: a span that was coded needs an onset and an offset")
            spans.append((onset - origin, offset - origin))
            continue
        codes = parse_codes(cell("au")) or parse_codes(cell("value")) or parse_codes(name)
        if not codes:
            unknown.append(name or "blank")
            continue
        coded.update(code.au for code in codes)
        if onset is None:
            if offset is not None:
                raise DataError(f"{path}, line {line}: an event with an offset needs an onset; add it")
            continue
        for code in codes:
            side = parse_side(cell("side"))
            if side is None:
                raise DataError(f"{path}, line {line}: the side {cell('side')!r} is none of L, R and B; mend it")
            # An ELAN export has the AU in its tier and the intensity in its annotation.
            said = cell("intensity") or (cell("value") if cell("au") else "")
            grade = parse_intensity(said) if said else None
            if cell("intensity") and grade is None:
                raise DataError(f"{path}, line {line}: the intensity {said!r} is none of A to E and 0 to 5; mend it")
            grade = code.intensity or None if grade is None else grade
            label = _LABELS.get(cell("label").lower(), PRESENT)
            comment = cell("comment")
            if said and not cell("intensity") and grade is None:
                comment = comment or said
            event = Event(
                code.au,
                onset - origin,
                None if offset is None else offset - origin,
                None if apex is None else apex - origin,
                side or code.side,
                LETTERS[grade - 1] if grade and grade > 0 else None,
                ABSENT if grade == 0 else MISSING if grade == -1 else label,
                cell("person") or code.person,
                comment,
            )
            events.append(event)
    problems = ()
    if unknown:
        names = ", ".join(repr(name) for name in sorted(set(unknown))[:5])
        problems = (
            Problem("unknown AU", str(path), f"{len(unknown)} rows name no AU and are left out: {names}", len(unknown)),
        )
    if not coded:
        raise DataError(f"{path} has no event of an AU; write AUs as 12, AU12 or L12B")
    return EventCodes(
        tuple(events), tuple(sorted(coded)), tuple(spans), FRAMES if frames else SECONDS, (), str(path), problems
    )


def write_event_table(
    path: Path,
    codes: EventCodes,
    *,
    unit: str = "",
    fps: int | float | Fraction | None = None,
    delimiter: str = ",",
    drop: bool = False,
) -> None:
    """Writes a table that `read_event_table` reads back as it was.

    Args:
      path: replaced if it exists.
      codes: in seconds or frames.
      unit: "seconds", "milliseconds" or "timecode" (whole frames; needs `fps`); "": as the codes are.
      fps: frames a second of the timecode; drop: drop-frame timecode.
      delimiter: with ";" decimals have a comma, as spreadsheets of most of Europe expect.

    Raises:
      DataError: timecode without a rate, or frames as seconds.

    Example:
      >>> codes = EventCodes((Event(12, 1.5, 2.25, intensity="C"),), aus=(12,))
      >>> write_event_table(folder / "events.csv", codes, delimiter=";")
      >>> print((folder / "events.csv").read_text())
      person;au;side;onset_s;apex_s;offset_s;intensity;coding;comment
      ;12;;1,5;;2,25;C;;
    """
    unit = unit or codes.unit
    if (unit == FRAMES) != (codes.unit == FRAMES) or (unit == TIMECODE and fps is None):
        raise DataError(
            f"{path}: events in {codes.unit} cannot be written in {unit} without the video's frame rate or times"
        )

    def moment(value: int | float | None) -> str:
        if value is None:
            return ""
        if unit == TIMECODE:
            return format_timecode(round(value * float(exact_rate(fps or 1))), fps or 1, drop)
        if unit == FRAMES:
            return str(int(value))
        text = f"{value * (1000 if unit == MILLISECONDS else 1):.6f}".rstrip("0").rstrip(".")
        return text.replace(".", ",") if delimiter == ";" else text

    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    short = _SHORT[unit]
    times = [f"{role}_{short}" for role in ("onset", "apex", "offset")]
    writer.writerow(["person", "au", "side", *times, "intensity", "coding", "comment"])
    for begin, end in codes.spans:
        writer.writerow(["", "coded", "", moment(begin), "", moment(end), "", "", ""])
    for au in sorted(set(codes.aus) - {event.au for event in codes.events}):
        writer.writerow(["", au, "", "", "", "", "", "", ""])
    names = {label: name for name, label in _LABELS.items()}
    for event in codes.events:
        row = [event.person, event.au, event.side, moment(event.onset), moment(event.apex), moment(event.offset)]
        label = "" if event.label == PRESENT else names[event.label]
        writer.writerow([*row, event.intensity or "", label, event.comment])
    files.write_text(path, text.getvalue())


def is_event_header(cells: Sequence[str]) -> bool:
    """Whether cells are the header of a table of events: they name an onset, and an AU or a value.

    Example:
      >>> is_event_header(["AU", "onset_s"]), is_event_header(["frame", "AU12"])
      (True, False)
    """
    roles = {column.role for place, cell in enumerate(cells) if (column := _column(place, cell, {})) is not None}
    return "onset" in roles and bool(roles & {"au", "value"})


def _rows(path: Path, columns: Mapping[str, str]) -> tuple[list[int], list[_Column], list[list[str]]]:
    """Line numbers, columns of the header, and rows below it that hold anything."""
    text = read_text(path)
    named = {name.strip().lower(): role for role, name in columns.items()}
    lines = text.splitlines()
    for above, line in enumerate(lines[:_HEADER_LINES], start=1):
        delimiter = max("\t;,", key=line.count)
        found = [
            _column(place, cell, named) for place, cell in enumerate(next(csv.reader([line], delimiter=delimiter), []))
        ]
        header = [column for column in found if column is not None]
        roles = {column.role for column in header}
        if "onset" in roles and roles & {"au", "value"}:
            reader = csv.reader(io.StringIO("\n".join(lines[above:])), delimiter=delimiter)
            break
    else:
        first = next((line for line in lines if line.strip()), "")[:80]
        raise DataError(
            f"{path} is no table of events: none of its first lines names a column for the AU and one for the onset "
            f"(it begins {first!r}); call them au, onset_s and offset_s"
        )
    numbers, rows = [], []
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                numbers.append(above + reader.line_num)
                rows.append(row)
            if len(rows) > _ROWS:
                raise DataError(
                    f"{path} has more than {_ROWS} rows, which no table of events has; check that it is one"
                )
    except csv.Error as error:
        raise DataError(f"{path}, line {above + reader.line_num}: cannot be read as a table ({error})") from error
    return numbers, header, rows


def _column(place: int, name: str, named: Mapping[str, str]) -> _Column | None:
    """What a column holds, by its name: `Begin Time - ss.msec` is the onset in seconds."""
    text = name.strip().strip("\ufeff").lower()
    words = [word for word in re.split(r"[\s_()\[\]/-]+", text) if word]
    unit = next((UNIT_WORDS[word] for word in words if word in UNIT_WORDS), "")
    if text in named:
        return _Column(named[text], place, unit)
    kept = " ".join(word for word in words if word not in UNIT_WORDS and word not in ("time", "number", "no", "no."))
    role = next((role for role, names in _ROLES.items() if kept in names), None)
    return None if role is None else _Column(role, place, unit)


def _chosen(header: Sequence[_Column], role: str) -> _Column | None:
    """The column of a role; of several, as ELAN exports them, the one whose unit needs no rate."""
    order = (MILLISECONDS, SECONDS, "clock", "", FRAMES, TIMECODE)
    found = [column for column in header if column.role == role]
    return min(found, key=lambda column: order.index(column.unit)) if found else None


def _units(
    path: Path, columns: Mapping[str, _Column], rows: Sequence[list[str]], lines: Sequence[int], told: str
) -> dict[str, str]:
    """The unit of each column of times; plain whole numbers of a column without one have to be told."""
    units = {}
    sure = ""  # of a column that says it, for those that do not
    plain = None
    for role in _TIMES:
        if role not in columns:
            continue
        column = columns[role]
        cells = [row[column.place].strip() for row in rows if column.place < len(row) and row[column.place].strip()]
        numbers = [cell for cell in cells if ":" not in cell and ";" not in cell]
        if column.unit:
            units[role] = column.unit
        elif told:
            units[role] = told
        elif not numbers:
            units[role] = SECONDS  # clock and timecode cells say it themselves
        elif any(re.fullmatch(r"-?[0-9]*[.,][0-9]+", cell) for cell in numbers):
            units[role] = SECONDS
        else:
            units[role], plain = "", plain or (role, numbers[0])
        sure = sure or units[role]
    if plain is not None and not sure:
        raise DataError(
            f"{path} does not say what its {plain[0]} {plain[1]} counts; name the column {plain[0]}_s, {plain[0]}_ms or "
            f"{plain[0]}_frame, or tell the unit"
        )
    return {role: unit or (SECONDS if sure == "clock" else sure) for role, unit in units.items()}


def with_coded(codes: EventCodes, aus: Sequence[int]) -> EventCodes:
    """The same events, with further AUs told to be coded: where they have no event they are absent, not missing.

    Example:
      >>> codes = EventCodes((Event(12, 0.0, 0.04),), aus=(12,))
      >>> codes.frame_codes([0.0, 0.04], aus=[12, 6]).labels.tolist()
      [[1, 0], [-1, 0]]
      >>> with_coded(codes, [6]).frame_codes([0.0, 0.04], aus=[12, 6]).labels.tolist()
      [[1, -1], [-1, -1]]
    """
    return replace(codes, aus=tuple(sorted({*codes.aus, *aus})))
