"""Tables of AU codes: columns are matched to the AUs of `config.data.aus` by number, never by position.

Two forms: a table with a header (BP4D's AU_OCC, GFT, folder), and two columns `frame,intensity` without one (BP4D's AU_INT,
DISFA). Missing are 9, 999, -999, NaN and blank; an unknown code is missing too and is reported.
"""

import csv
import itertools
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Int32

from au_jax.data.annotations.codes import Codes, spans
from au_jax.data.recordings import Problem
from au_jax.errors import DataError
from au_jax.labels import ABSENT, MISSING, PAPER_AUS, PRESENT, listed

LEVELS: str = "ABCDE"
"""Letters of the intensities 1 to 5."""

OCCURRENCE, INTENSITY = "occurrence", "intensity"
_MISSING_CODES = (9, 999, -999)
_COLUMN = re.compile(r"(?:au[ _-]?)?0*([0-9]{1,2})(?:_(?:(occ|occurrence|c)|(int|intensity|r)))?")
_LIKE_AN_AU = re.compile(r"au[ _-]?[0-9].*")


@dataclass(frozen=True)
class Coding:
    """Which AUs are read, and how.

    Attributes:
      level: intensity, 1 to 5, from which an AU counts as present.
      unmarked: what columns hold that do not say it: "occurrence" or "intensity" ("auto" has to be settled before).
      preferred: which column is used where an AU has one of each; a marked column goes before one without a mark.
      columns: AU, or 0 for the frame number -> its column's name in lower case, where it is not a usual one.
      frame: usual names of the frame's column.
      aus: AUs of the labels, in order of their columns (`config.data.aus`).
    """

    level: int = 1
    unmarked: str = OCCURRENCE
    preferred: str = OCCURRENCE
    columns: Mapping[int, str] = field(default_factory=dict)
    frame: tuple[str, ...] = ("frame",)
    aus: tuple[int, ...] = PAPER_AUS


def read_table(path: Path, coding: Coding) -> Codes:
    """Reads a table with a header: a column of frame numbers, and a column for each AU.

    Args:
      path: text in UTF-8, split at comma, semicolon or tab.
      coding: which AUs are read, and how.

    Returns:
      The codes of all rows with a frame number; AUs without a column are missing.

    Raises:
      DataError: not text, empty, no header, no column of frames or of any of the AUs, two columns for one AU.

    Example:
      >>> import tempfile
      >>> path = Path(tempfile.mkdtemp()) / "clip.csv"
      >>> _ = path.write_text("frame,AU12,AU05,AU01\\n1,0,1,9\\n2,1,1,0\\n")
      >>> codes = read_table(path, Coding(aus=(1, 12, 45)))
      >>> codes.frames.tolist(), codes.labels.tolist(), codes.aus, codes.unused
      ([1, 2], [[0, -1, 0], [-1, 1, 0]], (1, 12), ('au05',))
    """
    rows = read_rows(path)
    header = next(rows, None)
    if header is None:
        raise DataError(
            f"{path} is empty; give it a header with a column frame and columns AU1, AU2, ..., or remove it"
        )
    names = [cell.strip().lower() for cell in header]
    while names and not names[-1]:
        names.pop()
    frame_column, used, unused = _find_columns(path, names, coding)
    columns = [frame_column, *(column for column, _ in used.values())]
    numbers, cells, problems = take_cells(path, rows, columns, len(names))
    labels = np.full((len(numbers), len(coding.aus)), MISSING, np.int8)
    graded = False
    for (au, (_, mark)), column in zip(used.items(), cells, strict=True):
        holds = mark or coding.unmarked
        labels[:, coding.aus.index(au)], unknown = _labels(path, au, numbers, column, holds, coding.level)
        problems += unknown
        graded |= not mark and any(_is_grade(cell) for cell in set(column))
    frames, labels, doubled = _by_frame(path, numbers, labels, coding.aus)
    present = tuple(au for au in coding.aus if au in used)
    return Codes(frames, labels, present, unused, graded, (*problems, *doubled))


def read_intensities(paths: Mapping[int, Path], coding: Coding) -> Codes:
    """Reads files of `frame,intensity` without a header, one for each AU; a frame without a row of an AU is missing there.

    Args:
      paths: AU -> file; files of other AUs than those of the coding are not opened.
      coding: its level and AUs are used.

    Raises:
      DataError: a file is not text or empty, or there is none of the AUs.

    Example:
      >>> import tempfile
      >>> path = Path(tempfile.mkdtemp()) / "SN001_au5.txt"
      >>> _ = path.write_text("1,0\\n2,3\\n")
      >>> read_intensities({5: path}, Coding(level=2, aus=(5, 9))).labels.tolist()
      [[-1, 0], [1, 0]]
    """
    aus = tuple(au for au in coding.aus if au in paths)
    if not aus:
        folder = next(iter(paths.values())).parent
        raise DataError(
            f"{folder} has no file of the AUs of config.data.aus ({listed(coding.aus)}); add it, or mend these"
        )
    problems: list[Problem] = []
    columns = {}
    for au in aus:
        numbers, (cells,), left_out = take_cells(paths[au], read_rows(paths[au]), [0, 1], 2)
        labels, unknown = _labels(paths[au], au, numbers, cells, INTENSITY, coding.level)
        frames, labels, doubled = _by_frame(paths[au], numbers, labels[:, None], (au,))
        columns[au] = frames, labels[:, 0]
        problems += [*left_out, *unknown, *doubled]
    union = np.unique(np.concatenate([frames for frames, _ in columns.values()]))
    table = np.full((len(union), len(coding.aus)), MISSING, np.int8)
    for au, (frames, labels) in columns.items():
        table[np.searchsorted(union, frames), coding.aus.index(au)] = labels
        if lacking := len(union) - len(frames):
            text = f"AU {au} has no row for {lacking} frames that other AUs have"
            problems.append(Problem("row that one AU lacks", str(paths[au]), text, lacking))
    unused = tuple(f"au{au}" for au in sorted(paths) if au not in coding.aus)
    return Codes(union, table, aus, unused, problems=tuple(problems))


def read_rows(path: Path) -> Iterator[list[str]]:
    """Yields the rows that hold anything, split at comma, semicolon or tab, of which the first row has most.

    Raises:
      DataError: the file cannot be opened or is not text.

    Example:
      >>> import tempfile
      >>> path = Path(tempfile.mkdtemp()) / "rows.csv"
      >>> _ = path.write_text("frame;AU1\\n\\n1;0\\n")
      >>> list(read_rows(path))
      [['frame', 'AU1'], ['1', '0']]
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as stream:
            lines = (line for line in stream if line.strip())
            first = next(lines, "")
            delimiter = max(",;\t", key=first.count)
            yield from csv.reader(itertools.chain([first] if first else [], lines), delimiter=delimiter)
    except (UnicodeDecodeError, csv.Error, OSError) as error:
        reason = "not UTF-8 text" if isinstance(error, UnicodeDecodeError) else getattr(error, "strerror", str(error))
        raise DataError(f"{path} cannot be read as a table ({reason}); save it as CSV in UTF-8") from error


def take_cells(
    path: Path, rows: Iterator[list[str]], columns: list[int], width: int
) -> tuple[Int32[np.ndarray, " N"], list[list[str]], list[Problem]]:
    """Takes the cells of some columns.

    Args:
      path: the file, for messages.
      rows: from `read_rows`, without the header.
      columns: that of the frame numbers, then those wanted.
      width: how many cells a row has to have; blank ones may follow. Rows of another length are left out: where a
        delimiter is damaged, what follows it stands under other columns.

    Returns:
      [N] int32 frame numbers; the N cells of each column wanted; what is wrong with rows.

    Raises:
      DataError: no row of this length has a frame number.

    Example:
      >>> rows = iter([["1", "x", "0"], ["2", "y", "1"], ["3"]])
      >>> numbers, cells, problems = take_cells(Path("clip.csv"), rows, [0, 2], 3)
      >>> numbers.tolist(), cells, problems[0].text
      ([1, 2], [['0', '1']], '1 rows do not have 3 cells and are left out')
    """
    numbers: list[int] = []
    cells: list[list[str]] = [[] for _ in columns[1:]]
    unnumbered, uneven = 0, 0
    for row in rows:
        number = _number(row[columns[0]] or "nan") if len(row) > columns[0] else None
        if number is None or not number.is_integer() or not 0 <= number < 2**31:
            unnumbered += 1
            continue
        if len(row) < width or any(cell.strip() for cell in row[width:]):
            uneven += 1
            continue
        numbers.append(int(number))
        for column, kept in zip(columns[1:], cells, strict=True):
            kept.append(row[column].strip())
    if not numbers:
        raise DataError(
            f"{path} has no row with a frame number and {width} cells; give it one for every coded frame, or remove it"
        )
    problems = []
    if unnumbered:
        text = f"{unnumbered} rows without a frame number are left out"
        problems.append(Problem("row without frame number", str(path), text, unnumbered))
    if uneven:
        text = f"{uneven} rows do not have {width} cells and are left out"
        problems.append(Problem("row of another length", str(path), text, uneven))
    return np.array(numbers, np.int32), cells, problems


def _find_columns(
    path: Path, names: list[str], coding: Coding
) -> tuple[int, dict[int, tuple[int, str]], tuple[str, ...]]:
    """The column of frames, AU -> (its column, its mark or ""), and the names of AU columns without use."""
    for name in coding.columns.values():
        if name not in names:
            raise DataError(
                f"{path} has no column {name!r}, which config.data.columns names; mend the one or the other"
            )
    frame_names = (coding.columns[0],) if 0 in coding.columns else coding.frame
    frame_columns = [column for column, name in enumerate(names) if name in frame_names]
    if not frame_columns:
        raise DataError(
            f"{path} has no column {frame_names[0]!r} in its first line; give it a header with one, or name "
            'what it is called, as in --config.data.columns="frame=index"'
        )
    if len(frame_columns) > 1:
        raise DataError(f"{path} has two columns {frame_names[0]!r} in its first line; give it a header with one")
    mapped = {name: au for au, name in coding.columns.items()}
    candidates: dict[int, dict[str, list[int]]] = {}
    unused = []
    for column, name in enumerate(names):
        match = _COLUMN.fullmatch(name)
        au = mapped.get(name, int(match[1]) if match else None)
        if column in frame_columns or (au is None and not _LIKE_AN_AU.fullmatch(name)):
            continue
        if au not in coding.aus or coding.columns.get(au, name) != name:
            unused.append(name)
            continue
        mark = OCCURRENCE if match and match[2] else INTENSITY if match and match[3] else ""
        candidates.setdefault(au, {}).setdefault(mark, []).append(column)
    if not candidates:
        raise DataError(
            f"{path} has no column of the AUs of config.data.aus ({listed(coding.aus)}) in its first line; name them AU1 or "
            "AU01, or map them with config.data.columns"
        )
    used = {}
    for au, marks in sorted(candidates.items()):
        mark = min(marks, key=lambda mark: (not mark, mark != coding.preferred))
        if len(marks[mark]) > 1:
            both = " and ".join(repr(names[column]) for column in marks[mark][:2])
            raise DataError(f"{path} has two columns for AU {au}, {both}; name one with config.data.columns={au}=...")
        used[au] = marks[mark][0], mark
    return frame_columns[0], used, tuple(unused)


def _labels(
    path: Path, au: int, numbers: np.ndarray, cells: list[str], holds: str, level: int
) -> tuple[np.ndarray, list[Problem]]:
    """[N] int8 labels of the cells of an AU, and the unknown codes among them."""
    labels = {cell: _label(cell, holds, level) for cell in set(cells)}
    unknown = [row for row, cell in enumerate(cells) if labels[cell] is None]
    problems = []
    if unknown:
        code, frame = cells[unknown[0]][:20], numbers[unknown[0]]
        text = f"AU {au} has {holds} {code!r} in frame {frame}" + f" and {len(unknown) - 1} more" * (len(unknown) > 1)
        problems.append(Problem("unknown code", str(path), text, len(unknown)))
    return np.array([labels[cell] or MISSING for cell in cells], np.int8), problems


def _label(cell: str, holds: str, level: int) -> int | None:
    """The label of a code; None: unknown."""
    value = _number(cell or "nan")
    if value is None and holds == INTENSITY:
        value = _grade(cell)
    if value is None:
        return None
    if math.isnan(value) or value in _MISSING_CODES:
        return MISSING
    if holds == INTENSITY:
        return None if not 0 <= value <= 5 else PRESENT if value >= level else ABSENT
    return PRESENT if value == 1 else ABSENT if value == 0 else None


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def _grade(cell: str) -> int | None:
    """The intensity behind a letter."""
    return LEVELS.index(cell.upper()) + 1 if len(cell) == 1 and cell.upper() in LEVELS else None


def _is_grade(cell: str) -> bool:
    """Whether a code can only be an intensity."""
    return _grade(cell) is not None or 1 < (_number(cell) or 0) <= 5


def _by_frame(
    path: Path, numbers: np.ndarray, labels: np.ndarray, aus: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray, list[Problem]]:
    """Sorts rows by frame and joins those of one frame; where they differ, the label is missing.

    Args:
      path: the file, for messages.
      numbers: [N] int32 frame numbers.
      labels: [N, A] int8.
      aus: the A AUs.
    """
    order = np.argsort(numbers, kind="stable")
    frames, starts, counts = np.unique(numbers[order], return_index=True, return_counts=True)
    low = np.minimum.reduceat(labels[order], starts)
    high = np.maximum.reduceat(labels[order], starts)
    differ = low != high
    problems = []
    if (same := (counts > 1) & ~differ.any(1)).any():
        text = f"frames {spans(frames[same])} have several rows, alike"
        problems.append(Problem("doubled row", str(path), text, int((counts[same] - 1).sum())))
    if (torn := differ.any(1)).any():
        which = listed(au for au, any_differ in zip(aus, differ.any(0), strict=True) if any_differ)
        text = f"frames {spans(frames[torn])} have rows that differ in AU {which}; taken as missing there"
        problems.append(Problem("contradicting rows", str(path), text, int(torn.sum())))
    return frames, np.where(differ, MISSING, low).astype(np.int8), problems
