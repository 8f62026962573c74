"""Tables of AU codes per frame: columns are matched to the AUs of `config.data.aus` by number, never by position.

Three forms: a table with a header (BP4D's AU_OCC, GFT, folder, trackers), a long one with a row per frame and AU, and two
columns `frame,intensity` without a header (BP4D's AU_INT, DISFA). Missing are 9, 999, -999, NaN, blank, and the rows where a
tracker lost the face. An unknown code is missing too and is reported; more than a few stop the reading.
"""

import dataclasses
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int8

from au_jax.data.annotations.codes import Codes, spans
from au_jax.data.annotations.columns import (
    FRACTION,
    INTENSITY,
    OCCURRENCE,
    PERCENT,
    PROBABILITY,
    Coding,
    Columns,
    find_columns,
    is_header,
)  # fmt: skip
from au_jax.data.annotations.delimited import open_table, read_rows
from au_jax.data.annotations.frame_times import FrameClock, frame_of_time
from au_jax.data.annotations.notation import FRAMES, LETTERS, SECONDS, parse_intensity, parse_time
from au_jax.data.recordings import Problem
from au_jax.errors import DataError
from au_jax.labels import ABSENT, MISSING, PRESENT, listed

_MISSING_CODES = (9, 999, -999)
_WORDS = {
    **dict.fromkeys(("true", "yes", "y", "present", "ja", "oui"), PRESENT),
    **dict.fromkeys(("false", "no", "n", "absent", "nein", "non"), ABSENT),
}
_LOST = {"fit_failed", "find_failed", "unknown", "missing", "na", "n/a", "-", "?", "none"}
"""Words for a missing code; the first two are FaceReader's."""

_FRACTIONS = (0.1, 0.217, 0.334, 0.622, 0.91)
"""Above which FaceReader calls its 0 to 1 trace, slight, pronounced, severe and maximum (its manual)."""

_FEW, _SHARE = 5, 0.02
"""More than so many unknown codes, if they are more than this share, stop the reading."""

_PICTURE = re.compile(r"(?:[^\W_].*)?(?<![0-9])([0-9]+)\.(?:jpe?g|png|bmp|tiff?)|[a-z]{3,}[ _-]?([0-9]+)", re.I)
"""A frame that is named by its picture: `clip/frame_0001.jpg`, or `frame 12`."""


@dataclass(frozen=True)
class FrameTable:
    """Rows of codes, as a file holds them.

    Attributes:
      at: [N] frame numbers or seconds, sorted and unique.
      unit: "frames" or "seconds".
      labels: [N, A] int8 in {-1, 0, +1}; intensities: [N, A] int8 0 to 5, -1 not said.
      aus, unused, graded, problems: see `Codes`.
      first: number of the first frame, where the program counts from there; None: not known.
      kind, path: of the file.

    Example:
      >>> path = folder / "clip.csv"
      >>> _ = path.write_text("frame,AU12\\n1,0\\n2,1\\n")
      >>> table = parse_table(path, Coding(aus=(12,)))
      >>> table.at.tolist(), table.unit, table.codes().labels.tolist()
      ([1.0, 2.0], 'frames', [[-1], [1]])
    """

    at: Float64[np.ndarray, " N"]
    unit: str
    labels: Int8[np.ndarray, "N A"]
    intensities: Int8[np.ndarray, "N A"]
    aus: tuple[int, ...]
    unused: tuple[str, ...]
    graded: bool
    problems: tuple[Problem, ...]
    first: int | None
    kind: str
    path: str

    def codes(self) -> Codes:
        """The codes by the file's own frame numbers.

        Raises:
          DataError: it has times.
        """
        if self.unit != FRAMES:
            raise DataError(f"{self.path} has no column 'frame', but times; number its frames")
        frames = self.at.astype(np.int32)
        return Codes(frames, self.labels, self.aus, self.unused, self.graded, self.problems, self.intensities)


def read_table(path: Path, coding: Coding) -> Codes:
    """Reads a table with a column of frame numbers and a column for each AU, or with a row per frame and AU.

    Args:
      path: text, split at comma, semicolon or tab; see `delimited`.
      coding: which AUs are read, and how.

    Returns:
      The codes of all rows with a frame number; AUs without a column are missing.

    Raises:
      DataError: not text, empty, no header, no column of frames or of any of the AUs, two columns for one AU, times instead
        of frames, many unknown codes, or -1 whose meaning is open.

    Example:
      >>> import tempfile
      >>> path = Path(tempfile.mkdtemp()) / "clip.csv"
      >>> _ = path.write_text("frame,AU12,AU05,AU01\\n1,0,1,9\\n2,1,1,0\\n")
      >>> codes = read_table(path, Coding(aus=(1, 12, 45)))
      >>> codes.frames.tolist(), codes.labels.tolist(), codes.aus, codes.unused
      ([1, 2], [[0, -1, 0], [-1, 1, 0]], (1, 12), ('au05',))
    """
    return parse_table(path, coding).codes()


def parse_table(path: Path, coding: Coding) -> FrameTable:
    """Reads a table of frames or times; see `read_table`.

    Example:
      >>> path = folder / "clip.csv"
      >>> _ = path.write_text("time_ms,AU12_int\\n0,0\\n40,3\\n")
      >>> table = parse_table(path, Coding(level=2, aus=(12,)))
      >>> table.at.tolist(), table.unit, table.labels.tolist(), table.intensities.tolist()
      ([0.0, 0.04], 'seconds', [[-1], [1]], [[0], [3]])
    """
    table = open_table(path, lambda cells: is_header(cells, coding))
    if not table.header:
        raise DataError(
            f"{path} is empty; give it a header with a column frame and columns AU1, AU2, ..., or remove it"
        )
    columns = find_columns(path, table.header, table.above, coding)
    width = len(table.header)
    wanted = [columns.place, *(column for column, _ in columns.used.values())]
    wanted += [*columns.long[:2]] if columns.long else []
    extra = [column for column in (columns.success, columns.face) if column is not None]
    at, cells, problems = take_cells(
        path, (row for _, row in table.rows), [*wanted, *extra], width, columns.unit, coding.unit
    )
    if odd := sum(
        line.count(",") + line.count(";") + line.count("\t") >= width - 1 > 0 for line in table.above.splitlines()
    ):
        text = f"{odd} lines above the header have as many cells as rows and are left out"
        problems.append(Problem("row above the header", str(path), text, odd))
    if columns.face is not None:
        _refuse_several(path, cells[-1])
    if columns.long:
        at, used, cells = _widened(path, at, cells, columns, coding, extra)
        unused = tuple(sorted(f"au{au}" for au in used if au not in coding.aus))
        used = {au: value for au, value in used.items() if au in coding.aus}
        if not used:
            raise DataError(
                f"{path} has no rows of the AUs of config.data.aus ({listed(coding.aus)}); add them, or mend these"
            )
    else:
        used, unused = columns.used, columns.unused
    number = len(at)
    labels = np.full((number, len(coding.aus)), MISSING, np.int8)
    grades = np.full((number, len(coding.aus)), -1, np.int8)
    minus = _meaning_of_minus(path, cells[: len(used)], table.comma)
    graded, strange = False, 0
    for (au, (_, mark)), column in zip(used.items(), cells, strict=False):
        place = coding.aus.index(au)
        holds = mark or coding.unmarked
        values = _Cells(holds, coding.level, table.comma, minus)
        labels[:, place], grades[:, place], unknown = values.read(path, au, at, column, columns.unit)
        problems += unknown
        above = not mark and any(values.is_grade(cell) for cell in set(column))
        graded |= above
        if not (above and coding.undecided):
            strange += sum(problem.count for problem in unknown)
    _refuse_many(path, strange, number * len(used), problems, coding)
    if columns.success is not None:
        lost = np.array([_number(cell, table.comma) == 0 for cell in cells[-len(extra)]], bool)
        labels[lost], grades[lost] = MISSING, -1
        if lost.any():
            text = f"success is 0 in {int(lost.sum())} rows; their codes are missing"
            problems.append(Problem("row without a face", str(path), text, int(lost.sum())))
    if columns.unit != FRAMES:
        # Rows of other sensors stand between those of the face.
        kept = labels.any(1)
        at, labels, grades = at[kept], labels[kept], grades[kept]
    at, labels, grades, doubled = _by_frame(path, at, labels, grades, coding.aus)
    present = tuple(au for au in coding.aus if au in used)
    unit = FRAMES if columns.unit == FRAMES else SECONDS
    return FrameTable(
        at, unit, labels, grades, present, unused, graded, (*problems, *doubled), columns.first, columns.kind, str(path)
    )


def frame_codes(table: FrameTable, coding: Coding, own_first: int, clock: FrameClock | None) -> Codes:
    """The codes of a table by the frame numbers of its recording.

    Args:
      table: from `parse_table`.
      coding: its `first` and `offset` are used.
      own_first: number of the recording's first frame.
      clock: of the recording; needed for a table of times.

    Returns:
      The codes; of several rows for one frame the one nearest in time counts.

    Raises:
      DataError: most rows of times meet no frame.

    Example:
      >>> path = folder / "clip.csv"
      >>> _ = path.write_text("time_ms,AU12\\n0,0\\n40,1\\n80,1\\n")
      >>> clock = FrameClock(np.array([1, 2, 3], np.int32), np.array([0.0, 0.04, 0.08]))
      >>> codes = frame_codes(parse_table(path, Coding(aus=(12,))), Coding(aus=(12,)), own_first=1, clock=clock)
      >>> codes.frames.tolist(), codes.labels[:, 0].tolist()
      ([1, 2, 3], [-1, 1, 1])
    """
    problems = list(table.problems)
    if table.unit == FRAMES:
        numbers = table.at.astype(np.int64)
        first = coding.first if coding.first is not None else table.first
        if (
            coding.first is None
            and table.first is not None
            and len(numbers)
            and numbers[0] >= own_first + table.first - 1
        ):
            # Of pictures with numbers of their own, which `predict` keeps.
            first = own_first + table.first - 1
        if first is None and len(numbers) and numbers[0] == 0 and own_first == 1:
            first = 0
            text = "counts from 0: frame 0 is taken as the first; --config.data.first_frame=1 takes the numbers as they stand"
            problems.append(Problem("counts from 0", table.path, text))
        frames = (numbers - (own_first if first is None else first) + own_first).astype(np.int32)
        labels, grades = table.labels, table.intensities
    else:
        if clock is None:
            raise DataError(f"{table.path} has times; the video whose frames they are is needed")
        seconds = table.at + coding.offset
        index = frame_of_time(clock.times, seconds)
        lost = int((index < 0).sum())
        where = f"{table.at[0]:g} to {table.at[-1]:g} s" if len(table.at) else "none"
        if 2 * lost >= len(table.at):
            raise DataError(
                f"{table.path}: {lost} of {len(table.at)} rows ({where}) meet none of the video's {len(clock.times)} frames "
                f"(0 to {clock.times[-1]:.3f} s); check the unit of the times (--config.data.label_unit) and their offset"
            )
        if lost:
            problems.append(Problem("label without frame", table.path, f"{lost} rows meet no frame of the video", lost))
        away = np.where(index < 0, np.inf, np.abs(clock.times[index] - seconds))
        order = np.lexsort((away, index))
        order = order[index[order] >= 0]
        chosen, starts = np.unique(index[order], return_index=True)
        rows = order[starts]
        frames, labels, grades = clock.numbers[chosen], table.labels[rows], table.intensities[rows]
    return Codes(frames, labels, table.aus, table.unused, table.graded, tuple(problems), grades)


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
        at, (cells,), left_out = take_cells(paths[au], read_rows(paths[au]), [0, 1], 2)
        labels, grades, unknown = _Cells(INTENSITY, coding.level, False, None).read(paths[au], au, at, cells)
        at, labels, grades, doubled = _by_frame(paths[au], at, labels[:, None], grades[:, None], (au,))
        columns[au] = at.astype(np.int32), labels[:, 0], grades[:, 0]
        problems += [*left_out, *unknown, *doubled]
    union = np.unique(np.concatenate([frames for frames, _, _ in columns.values()]))
    table = np.full((len(union), len(coding.aus)), MISSING, np.int8)
    intensities = np.full(table.shape, -1, np.int8)
    for au, (frames, labels, grades) in columns.items():
        rows, place = np.searchsorted(union, frames), coding.aus.index(au)
        table[rows, place], intensities[rows, place] = labels, grades
        if lacking := len(union) - len(frames):
            text = f"AU {au} has no row for {lacking} frames that other AUs have"
            problems.append(Problem("row that one AU lacks", str(paths[au]), text, lacking))
    unused = tuple(f"au{au}" for au in sorted(paths) if au not in coding.aus)
    return Codes(union, table, aus, unused, problems=tuple(problems), intensities=intensities)


def add_intensities(codes: Codes, paths: Mapping[int, Path], coding: Coding) -> Codes:
    """Codes of occurrence with the intensities of files beside them (BP4D's AU_INT beside AU_OCC); presence stays as it is.

    Args:
      codes: of occurrence.
      paths: AU -> file, as for `read_intensities`; coding: its AUs, and the level of the occurrences.

    Returns:
      The codes; intensities are -1 where no file says any, and where one contradicts the occurrence, which is told.

    Raises:
      DataError: a file cannot be read.

    Example:
      >>> import tempfile
      >>> path = Path(tempfile.mkdtemp()) / "F001_T1_AU12.csv"
      >>> _ = path.write_text("1,0\\n2,3\\n3,2\\n")
      >>> codes = Codes(np.array([1, 2, 3], np.int32), np.array([[-1], [1], [-1]], np.int8), aus=(12,))
      >>> codes = add_intensities(codes, {12: path}, Coding(aus=(12,)))
      >>> codes.intensities[:, 0].tolist(), codes.problems[0].kind
      ([0, 3, -1], 'intensity against occurrence')
    """
    wanted = {au: path for au, path in paths.items() if au in codes.aus}
    if not wanted:
        return codes
    graded = read_intensities(wanted, coding)
    _, rows, at = np.intersect1d(codes.frames, graded.frames, assume_unique=True, return_indices=True)
    unknown = np.full(codes.labels.shape, -1, np.int8)
    # Of occurrence alone the zeros are known.
    intensities = (unknown if codes.intensities is None else codes.intensities).copy()
    assert graded.intensities is not None  # of files that hold nothing else
    intensities[rows] = np.where(graded.intensities[at] >= 0, graded.intensities[at], intensities[rows])
    differ = (intensities >= 0) & ((intensities >= coding.level) != (codes.labels > 0)) & (codes.labels != MISSING)
    problems = [*codes.problems, *graded.problems]
    for au, path in sorted(wanted.items()):
        wrong = differ[:, coding.aus.index(au)]
        if count := int(wrong.sum()):
            text = f"AU {au}: the intensity of {count} frames contradicts the occurrence (frames {spans(codes.frames[wrong])})"
            problems.append(Problem("intensity against occurrence", str(path), f"{text}; it is left out", count))
    intensities[differ | (codes.labels == MISSING)] = -1
    return dataclasses.replace(codes, intensities=intensities, problems=tuple(problems))


def take_cells(
    path: Path, rows: Iterator[list[str]], columns: Sequence[int], width: int, unit: str = FRAMES, told: str = ""
) -> tuple[Float64[np.ndarray, " N"], list[list[str]], list[Problem]]:
    """Takes the cells of some columns.

    Args:
      path: the file, for messages.
      rows: the rows below the header.
      columns: that of the frame numbers or times, then those wanted.
      width: how many cells a row has to have; blank ones may follow. Rows of another length are left out: where a
        delimiter is damaged, what follows it stands under other columns.
      unit: of the first column; "" where the header does not say; told: what the user says of it then.

    Returns:
      [N] frame numbers or seconds; the N cells of each column wanted; what is wrong with rows.

    Raises:
      DataError: no row of this length has a frame number or time, or whole numbers of a unit that nobody tells.

    Example:
      >>> rows = iter([["1", "x", "0"], ["2", "y", "1"], ["3"]])
      >>> numbers, cells, problems = take_cells(Path("clip.csv"), rows, [0, 2], 3)
      >>> numbers.tolist(), cells, problems[0].text
      ([1.0, 2.0], [['0', '1']], '1 rows do not have 3 cells and are left out')
    """
    what = "frame number" if unit == FRAMES else "time"
    at: list[float] = []
    cells: list[list[str]] = [[] for _ in columns[1:]]
    unnumbered, uneven, whole = 0, 0, True
    plain_unit = SECONDS if unit == "clock" else unit or (told if told != FRAMES else "") or SECONDS
    for row in rows:
        text = row[columns[0]].strip() if len(row) > columns[0] else ""
        number = _frame_number(text) if unit == FRAMES else _seconds(text, plain_unit)
        if number is None:
            unnumbered += 1
            continue
        if len(row) < width or any(cell.strip() for cell in row[width:]):
            uneven += 1
            continue
        whole &= text.isdecimal()
        at.append(number)
        for column, kept in zip(columns[1:], cells, strict=True):
            kept.append(row[column].strip())
    if not at:
        raise DataError(
            f"{path} has no row with a {what} and {width} cells; give it one for every coded frame, or remove it"
        )
    if whole and unit == "" and not told and len(at) > 1:
        raise DataError(
            f"{path} does not say what its times, such as {at[1]:g}, count; name the column time_s or time_ms, or tell "
            "it: --config.data.label_unit=milliseconds (or seconds), in au-jax agreement --unit"
        )
    problems = []
    if unnumbered:
        text = f"{unnumbered} rows without a {what} are left out"
        problems.append(Problem(f"row without {what}", str(path), text, unnumbered))
    if uneven:
        text = f"{uneven} rows do not have {width} cells and are left out"
        problems.append(Problem("row of another length", str(path), text, uneven))
    return np.array(at, np.float64), cells, problems


def _frame_number(text: str) -> float | None:
    """The number of a frame, or of its picture's file."""
    number = _number(text or "nan", comma=False)
    if number is None and (match := _PICTURE.fullmatch(text)):
        number = float(match[1] or match[2])
    return number if number is not None and number.is_integer() and 0 <= number < 2**31 else None


def _seconds(text: str, unit: str) -> float | None:
    try:
        return parse_time(text, unit)
    except ValueError:
        return None


def _refuse_several(path: Path, faces: list[str]) -> None:
    names = sorted(set(faces))
    if len(names) > 1:
        raise DataError(
            f"{path} has rows of {len(names)} faces ({', '.join(names[:5])}); keep the rows of the person whom the video is about"
        )


def _refuse_many(path: Path, strange: int, cells: int, problems: Sequence[Problem], coding: Coding) -> None:
    if strange <= _FEW or strange <= _SHARE * cells:
        return
    first = next(problem.text for problem in problems if problem.kind == "unknown code")
    cause = "codes are 0 and 1, or 0 to 5 and A to E, with 9 or blank for missing"
    if re.search(r"'[0-9]+,[0-9]+'", first):
        cause = (
            "a decimal comma in a table that is split at commas; save it with a decimal point, or split at semicolons"
        )
    elif "occurrence '" in first and coding.unmarked == OCCURRENCE:
        cause += "; if the column holds intensities, add --config.data.codes=intensity"
    raise DataError(f"{path}: {strange} of {cells} codes are not understood ({first}); {cause}")


def _widened(
    path: Path, at: np.ndarray, cells: list[list[str]], columns: Columns, coding: Coding, extra: Sequence[int]
) -> tuple[np.ndarray, dict[int, tuple[int, str]], list[list[str]]]:
    """A long table as a wide one: (frames or times, AU -> its column and mark, cells of these and of the extra columns)."""
    assert columns.long is not None
    names, values, mark = cells[0], cells[1], columns.long[2]
    numbers = {
        name: match[2]
        for name in set(names)
        if (match := re.fullmatch(r"(?i)(au|action ?unit)? ?0*([0-9]{1,2})", name))
    }
    if lacking := sorted(set(names) - {*numbers}):
        raise DataError(f"{path}: its column of AUs has {lacking[0]!r}, which names none; write 12 or AU12")
    union, rows = np.unique(at, return_inverse=True)
    used = {au: (0, mark) for au in sorted({int(number) for number in numbers.values()})}
    wide = {au: [""] * len(union) for au in used}
    twice: list[float] = []
    for row, name, value in zip(rows.tolist(), names, values, strict=True):
        column = wide[int(numbers[name])]
        if column[row] and column[row] != value:
            twice.append(float(union[row]))
        column[row] = value
    if twice:
        raise DataError(f"{path} has two different codes of one AU at {twice[0]:g}; keep one")
    kept = [au for au in used if au in coding.aus]
    rest = []
    for column in cells[2:]:
        of_row = dict(zip(rows.tolist(), column, strict=True))
        rest.append([of_row[row] for row in range(len(union))])
    return union, used, [*(wide[au] for au in kept), *rest]


def _meaning_of_minus(path: Path, columns: Sequence[Sequence[str]], comma: bool) -> int | None:
    """What -1 means: ABSENT, MISSING, or None where no cell has it.

    A table of -1, 0 and 1 says by itself which is missing: whole rows of it are, where the face was not seen.

    Raises:
      DataError: it does not say so.
    """
    numbers = [{cell: _number(cell, comma) for cell in set(column)} for column in columns]
    if not any(-1 in of.values() for of in numbers):
        return None
    table = np.array([[of[cell] if of[cell] is not None else np.nan for cell in column]
                      for of, column in zip(numbers, columns, strict=True)], np.float64).T  # fmt: skip
    minus, zero = table == -1, table == 0
    if (table > 1).any() or (table.shape[1] > 1 and (minus.any(1) == minus.all(1)).all() and zero.any()):
        return MISSING
    if not zero.any() or (table.shape[1] > 1 and (zero.any(1) == zero.all(1)).all()):
        return ABSENT
    raise DataError(
        f"{path} has codes -1, 0 and 1, and which of -1 and 0 is missing does not show; write 9 for missing"
    )


@dataclass(frozen=True)
class _Cells:
    """How cells become labels: what they hold, the level, whether numbers have a comma, and what -1 means."""

    holds: str
    level: int
    comma: bool
    minus: int | None

    def read(
        self, path: Path, au: int, at: np.ndarray, cells: Sequence[str], unit: str = FRAMES
    ) -> tuple[np.ndarray, np.ndarray, list[Problem]]:
        """[N] int8 labels and intensities of the cells of an AU, and the unknown codes among them."""
        known = {cell: self.code(cell) for cell in set(cells)}
        unknown = [row for row, cell in enumerate(cells) if known[cell] is None]
        problems = []
        if unknown:
            where = f"in frame {at[unknown[0]]:g}" if unit == FRAMES else f"at {at[unknown[0]]:g} s"
            text = f"AU {au} has {self.holds} {cells[unknown[0]][:20]!r} {where}"
            text += f" and {len(unknown) - 1} more" * (len(unknown) > 1)
            problems.append(Problem("unknown code", str(path), text, len(unknown)))
        pairs = np.array([known[cell] or (MISSING, -1) for cell in cells], np.int8).reshape(-1, 2)
        return pairs[:, 0], pairs[:, 1], problems

    def code(self, cell: str) -> tuple[int, int] | None:
        """Label and intensity of a code; None: unknown."""
        word = cell.lower()
        value = _number(word or "nan", self.comma)
        if value is None:
            if word in _LOST:
                return MISSING, -1
            if word in _WORDS:
                return _WORDS[word], 0 if _WORDS[word] == ABSENT else -1
            grade = 0 if word in ("notactive", "not active") else parse_intensity(cell)
            if grade is None or self.holds == OCCURRENCE:
                return None
            return _graded(grade, self.level)
        if math.isnan(value) or value in _MISSING_CODES:
            return MISSING, -1
        if value == -1 and self.minus is not None:
            return self.minus, 0 if self.minus == ABSENT else -1
        if value == 0 and self.minus == ABSENT:
            return MISSING, -1
        if self.holds == INTENSITY:
            return _graded(value, self.level) if 0 <= value <= 5 else None
        if self.holds == FRACTION:
            return _graded(sum(value > border for border in _FRACTIONS), self.level) if 0 <= value <= 1 else None
        if self.holds in (PROBABILITY, PERCENT):
            top = 1 if self.holds == PROBABILITY else 100
            return None if not 0 <= value <= top else (PRESENT, -1) if value >= top / 2 else (ABSENT, 0)
        return (PRESENT, -1) if value == 1 else (ABSENT, 0) if value == 0 else None

    def is_grade(self, cell: str) -> bool:
        """Whether a code can only be an intensity."""
        value = _number(cell, self.comma)
        return 1 < value <= 5 if value is not None else len(cell) == 1 and cell.upper() in LETTERS


def _graded(value: float, level: int) -> tuple[int, int]:
    if value < 0:
        return MISSING, -1
    # A tracker's 2.4 is nearer to B than to C; whether it is present follows from the number itself.
    return PRESENT if value >= level else ABSENT, round(value)


def _number(cell: str, comma: bool) -> float | None:
    try:
        return float(cell.replace(",", ".") if comma else cell)
    except ValueError:
        return None


def _by_frame(
    path: Path, at: np.ndarray, labels: np.ndarray, grades: np.ndarray, aus: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[Problem]]:
    """Sorts rows by frame or time and joins those of one; where they differ, the label is missing.

    Args:
      path: the file, for messages.
      at: [N] frame numbers or seconds.
      labels, grades: [N, A] int8.
      aus: the A AUs.
    """
    order = np.argsort(at, kind="stable")
    frames, starts, counts = np.unique(at[order], return_index=True, return_counts=True)
    if not len(frames):
        return frames, labels, grades, []
    low = np.minimum.reduceat(labels[order], starts)
    high = np.maximum.reduceat(labels[order], starts)
    differ = low != high
    problems = []
    if (same := (counts > 1) & ~differ.any(1)).any():
        text = f"frames {_named(frames[same])} have several rows, alike"
        problems.append(Problem("doubled row", str(path), text, int((counts[same] - 1).sum())))
    if (torn := differ.any(1)).any():
        which = listed(au for au, any_differ in zip(aus, differ.any(0), strict=True) if any_differ)
        text = f"frames {_named(frames[torn])} have rows that differ in AU {which}; taken as missing there"
        problems.append(Problem("contradicting rows", str(path), text, int(torn.sum())))
    intensities = np.where(differ, np.int8(-1), np.maximum.reduceat(grades[order], starts))
    return frames, np.where(differ, MISSING, low).astype(np.int8), intensities.astype(np.int8), problems


def _named(at: np.ndarray) -> str:
    return spans(at.astype(np.int64)) if (at == np.floor(at)).all() else f"at {at[0]:g} s and {len(at) - 1} more"
