"""What the columns of a frame table hold, by their names, and which program wrote it.

AUs are matched by number: `12`, `AU12`, `au_012`, `AU12_c`, `Action Unit 12`, `Action Unit 12 - Lip Corner Puller`. Behind a
number, `occ`, `c` or `presence` say occurrence and `int`, `r` or `intensity` intensity.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from au_jax.data.annotations.notation import FRAMES, UNIT_WORDS
from au_jax.errors import DataError
from au_jax.labels import AU_NAMES, PAPER_AUS, listed

OCCURRENCE, INTENSITY = "occurrence", "intensity"
PROBABILITY, PERCENT, FRACTION = "probability", "percent", "fraction"
"""What cells hold: 0 or 1; 0 to 5 or A to E; 0 to 1, present from 0.5; 0 to 100, from 50; FaceReader's 0 to 1."""

FRAME, TIME = 0, -1
"""Keys of `Coding.columns` for the frame number and the time."""

_FRAME_NAMES = (
    "frame", "frame number", "framenumber", "frame no", "frameno", "frame nr", "framenr", "frame num", "framenum", "frame id",
    "frameid", "image", "image name", "picture", "img", "file", "file name", "filename",
)  # fmt: skip
_TIME_NAMES = ("time", "timestamp", "time stamp", "video time", "media time", "mediatime", "t", "")
_AU_NAMES = ("au", "aus", "action unit", "action units", "actionunit")
_VALUE_NAMES = {
    **dict.fromkeys(("value", "code", "label"), ""),
    **dict.fromkeys(("occurrence", "presence", "present"), OCCURRENCE),
    "intensity": INTENSITY,
}
_MARKS = {
    **dict.fromkeys(("occ", "occurrence", "c", "presence", "present"), OCCURRENCE),
    **dict.fromkeys(("int", "intensity", "r"), INTENSITY),
}
_COLUMN = re.compile(r"(?:(aus?|action ?units?) ?)?0*([0-9]{1,2})(?: (.*))?")
_LIKE_AN_AU = re.compile(r"(?:au|action ?unit) ?[0-9].*")
_AFFDEX = {
    "inner brow raise": 1, "brow raise": 2, "brow furrow": 4, "eye widen": 5, "cheek raise": 6, "lid tighten": 7,
    "nose wrinkle": 9, "upper lip raise": 10, "smile": 12, "dimpler": 14, "lip corner depressor": 15, "chin raise": 17,
    "lip pucker": 18, "lip stretch": 20, "lip press": 24, "mouth open": 25, "jaw drop": 26, "lip suck": 28, "eye closure": 43,
}  # fmt: skip
"""Expressions of AFFDEX, as iMotions exports them -> the AU that Affectiva's mapping gives."""


@dataclass(frozen=True)
class Coding:
    """Which AUs are read, and how.

    Attributes:
      level: intensity, 1 to 5, from which an AU counts as present.
      unmarked: what columns hold that do not say it: "occurrence" or "intensity" ("auto" has to be settled before).
      preferred: which column is used where an AU has one of each; a marked column goes before one without a mark.
      columns: AU, FRAME or TIME -> its column's name in lower case, where it is not a usual one.
      frame: usual names of the frame's column, before others.
      aus: AUs of the labels, in order of their columns (`config.data.aus`).
      undecided: whether codes above 1 are no mistake in a column of occurrence, as all files decide what it holds.
      first: number that label files give to the first frame; None: the frame's own, or 0 where a file counts from 0.
      unit: of plain times and of events, where a file does not say: one of `notation.UNITS`, or "".
      offset: seconds that are added to the times of label files.
      coded: AUs that were coded, for files of events, which do not tell of those that never occurred.

    Example:
      >>> coding = Coding(level=3, aus=(6, 12), columns={12: "smile"})
      >>> coding.level, coding.aus, coding.unmarked
      (3, (6, 12), 'occurrence')
    """

    level: int = 1
    unmarked: str = OCCURRENCE
    preferred: str = OCCURRENCE
    columns: Mapping[int, str] = field(default_factory=dict)
    frame: tuple[str, ...] = ("frame",)
    aus: tuple[int, ...] = PAPER_AUS
    undecided: bool = False
    first: int | None = None
    unit: str = ""
    offset: float = 0.0
    coded: tuple[int, ...] = ()


@dataclass(frozen=True)
class Columns:
    """Places of columns.

    Attributes:
      kind: what wrote the table.
      place: of frame numbers or times; unit: of times, "" for plain numbers that do not say it, FRAMES for frame numbers.
      used: AU -> (its column, what it holds, or "" where the name does not say).
      unused: names of AU columns that are not used.
      long: (column of the AU's number, column of the code, what that holds) of a table with a row per frame and AU.
      success, face: columns of a tracker, or None.
      first: number of the first frame, where the program is known to count from there.

    Example:
      >>> columns = Columns("frame table", place=0, unit=FRAMES, used={12: (2, OCCURRENCE)}, unused=("au30",))
      >>> names = ["frame", "AU30", "AU12_c"]
      >>> names[columns.place], names[columns.used[12][0]]
      ('frame', 'AU12_c')
    """

    kind: str
    place: int
    unit: str
    used: Mapping[int, tuple[int, str]] = field(default_factory=dict)
    unused: tuple[str, ...] = ()
    long: tuple[int, int, str] | None = None
    success: int | None = None
    face: int | None = None
    first: int | None = None


def au_of(name: str) -> tuple[int, str] | None:
    """AU and mark behind a column's name; None: no AU's column, or that of a side.

    Example:
      >>> au_of("AU04_int"), au_of("Action Unit 12 - Lip Corner Puller"), au_of("AU12 left")
      ((4, 'intensity'), (12, ''), None)
    """
    match = _COLUMN.fullmatch(plain(name))
    if match is None:
        return None
    prefix, number, rest = match[1] or "", int(match[2]), match[3] or ""
    if not rest or rest in _MARKS:
        return number, _MARKS.get(rest, "")
    words = rest.split()
    # FaceReader's wording of some names is its own; a side is another column's.
    described = prefix.startswith("action") and not {"left", "right"} & {*words} and not any(map(str.isdigit, words))
    return (number, "") if described or rest == AU_NAMES.get(number) else None


def plain(name: str) -> str:
    """A column's name in lower case, with single spaces for what is neither letter nor digit.

    Example:
      >>> plain("Action_Unit 12 - Lip Corner Puller"), plain(" AU04_r ")
      ('action unit 12 lip corner puller', 'au04 r')
    """
    return " ".join(re.findall(r"[a-z0-9]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name.strip()).lower()))


def is_header(cells: Sequence[str], coding: Coding) -> bool:
    """Whether cells can be the header of a frame table: a frame's or a time's column, and one of an AU.

    Example:
      >>> is_header(["frame", "AU12"], Coding()), is_header(["Session 3", ""], Coding()), is_header(["1", "0"], Coding())
      (True, False, False)
    """
    try:
        found = _positions(Path(), cells, coding)
    except DataError:
        return True  # doubled columns; told when the table is read
    return found is not None and any(
        au_of(name) is not None
        or plain(name) in (*_AU_NAMES, *_AFFDEX)
        or name.strip().lower() in coding.columns.values()
        for place, name in enumerate(cells)
        if place != found[0]
    )


def find_columns(path: Path, names: Sequence[str], above: str, coding: Coding) -> Columns:
    """Finds the columns of a table.

    Args:
      path: the file, for messages.
      names: its header.
      above: text above the header.
      coding: which AUs, and names that are told.

    Raises:
      DataError: no column of frames or times, or of any of the AUs; two for one; a name that is told and is not there.

    Example:
      >>> names = ["frame", "AU04_r", "AU12_c", "AU30_c"]
      >>> columns = find_columns(Path("clip.csv"), names, "", Coding(aus=(4, 12)))
      >>> columns.place, columns.used, columns.unused
      (0, {4: (1, 'intensity'), 12: (2, 'occurrence')}, ('au30_c',))
    """
    lower = [name.strip().lower() for name in names]
    for name in coding.columns.values():
        if name not in lower:
            raise DataError(
                f"{path} has no column {name!r}, which config.data.columns names; mend the one or the other"
            )
    found = _positions(path, names, coding)
    if found is None:
        raise DataError(
            f"{path} has no column {coding.frame[0]!r} in its first line; give it a header with one, or name "
            'what it is called, as in --config.data.columns="frame=index" or "time=clock"'
        )
    place, unit = found
    words = [plain(name) for name in names]
    kind, holds, first = _program(words, above)
    face = next((column for column, name in enumerate(words) if name in ("face id", "faceid")), None)
    success = words.index("success") if "success" in words else None
    mapped = {name: au for au, name in coding.columns.items() if au > 0}
    if (tall := _long(words)) is not None and not mapped:
        return Columns(kind, place, unit, long=tall, success=success, face=face, first=first)
    used, unused = _au_columns(path, lower, words, place, mapped, holds, coding)
    if not used:
        raise DataError(
            f"{path} has no column of the AUs of config.data.aus ({listed(coding.aus)}) in its first line; name them AU1 or "
            "AU01, or map them with config.data.columns"
        )
    return Columns(kind, place, unit, used, unused, None, success, face, first)


def _au_columns(
    path: Path, lower: list[str], words: list[str], place: int, mapped: Mapping[str, int], holds: str, coding: Coding
) -> tuple[dict[int, tuple[int, str]], tuple[str, ...]]:
    candidates: dict[int, dict[str, list[int]]] = {}
    unused = []
    for column, name in enumerate(lower):
        known = au_of(name)
        if known is None and holds == PERCENT and words[column] in _AFFDEX:
            known = _AFFDEX[words[column]], ""
        au = mapped.get(name, known[0] if known else None)
        if column == place or (au is None and not _LIKE_AN_AU.fullmatch(words[column])):
            continue
        if au not in coding.aus or coding.columns.get(au, name) != name:
            unused.append(name)
            continue
        mark = (known[1] if known else "") or holds
        candidates.setdefault(au, {}).setdefault(mark, []).append(column)
    used = {}
    for au, marks in sorted(candidates.items()):
        mark = min(marks, key=lambda mark: (not mark, mark != coding.preferred))
        if len(marks[mark]) > 1:
            both = " and ".join(repr(lower[column]) for column in marks[mark][:2])
            raise DataError(f"{path} has two columns for AU {au}, {both}; name one with config.data.columns={au}=...")
        used[au] = marks[mark][0], mark
    return used, tuple(unused)


def _positions(path: Path, names: Sequence[str], coding: Coding) -> tuple[int, str] | None:
    """The column of frame numbers, or else of times, and its unit."""
    lower = [name.strip().lower() for name in names]
    words = [plain(name) for name in names]
    if FRAME in coding.columns:
        candidates = [(coding.columns[FRAME], lower)]
    elif TIME in coding.columns:
        column = lower.index(coding.columns[TIME]) if coding.columns[TIME] in lower else -1
        return None if column < 0 else (column, _unit(names[column]))
    else:
        candidates = [*((name, lower) for name in coding.frame), *((name, words) for name in _FRAME_NAMES)]
    for name, texts in candidates:
        hits = [column for column, text in enumerate(texts) if text == name]
        if len(hits) > 1:
            raise DataError(f"{path} has two columns {name!r} in its first line; give it a header with one")
        if hits:
            return hits[0], FRAMES
    times = [
        (_TIME_NAMES.index(name), column) for column, text in enumerate(names) if (name := _time_name(text)) is not None
    ]
    if not times:
        return None
    column = min(times)[1]
    return column, _unit(names[column])


def _time_name(name: str) -> str | None:
    """A time's name without its unit; None: another column."""
    words = plain(name).split()
    kept = " ".join(word for word in words if word not in UNIT_WORDS)
    if kept == "" and (not words or words in (["f"], ["frame"], ["frames"], ["s"])):
        return None
    return kept if kept in _TIME_NAMES else None


def _unit(name: str) -> str:
    words = re.split(r"[\s_()\[\]/-]+", name.strip().lower())
    return next((UNIT_WORDS[word] for word in words if word in UNIT_WORDS), "")


def _program(words: Sequence[str], above: str) -> tuple[str, str, int | None]:
    """Kind, what AU columns hold, and the first frame's number, of a program's table."""
    if any(word.startswith("face rect") for word in words):
        return "py-feat table", PROBABILITY, 0
    if "video time" in words and any(word.startswith("action unit") for word in words):
        return "FaceReader log", FRACTION, None
    if "brow furrow" in words or ("timestamp" in words and "imotions" in above.lower()):
        return "iMotions table", PERCENT, None
    if "success" in words and "confidence" in words:
        return "OpenFace table", "", 1
    return "frame table", "", None


def _long(words: Sequence[str]) -> tuple[int, int, str] | None:
    au = next((column for column, name in enumerate(words) if name in _AU_NAMES), None)
    value = next((column for column, name in enumerate(words) if name in _VALUE_NAMES), None)
    return None if au is None or value is None else (au, value, _VALUE_NAMES[words[value]])
