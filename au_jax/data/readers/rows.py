"""The rows of a text table: whatever its delimiter, each with the number of its frame."""

import csv
import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from au_jax.data.recordings import Problem
from au_jax.errors import UserError


def read_rows(path: Path) -> Iterator[list[str]]:
    """Yields the rows that hold anything, split at comma, semicolon or tab, of which the first row has most.

    Raises:
      UserError: the file cannot be opened or is not text.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as stream:
            lines = (line for line in stream if line.strip())
            first = next(lines, "")
            delimiter = max(",;\t", key=first.count)
            yield from csv.reader(itertools.chain([first] if first else [], lines), delimiter=delimiter)
    except (UnicodeDecodeError, csv.Error, OSError) as error:
        reason = "not UTF-8 text" if isinstance(error, UnicodeDecodeError) else getattr(error, "strerror", str(error))
        raise UserError(f"{path} cannot be read as a table ({reason}); save it as CSV in UTF-8") from error


def take_cells(
    path: Path, rows: Iterator[list[str]], columns: list[int], width: int
) -> tuple[np.ndarray, list[list[str]], list[Problem]]:
    """Takes the cells of some columns.

    Args:
      path: the file, for messages; rows: from `read_rows`, without the header.
      columns: that of the frame numbers, then those wanted.
      width: how many cells a row has to have; blank ones may follow. Rows of another length are left out: where a
        delimiter is damaged, what follows it stands under other columns.

    Returns:
      [N] int32 frame numbers; the N cells of each column wanted; what is wrong with rows.

    Raises:
      UserError: no row of this length has a frame number.
    """
    numbers: list[int] = []
    cells: list[list[str]] = [[] for _ in columns[1:]]
    unnumbered, uneven = 0, 0
    for row in rows:
        number = _frame_number(row[columns[0]]) if len(row) > columns[0] else None
        if number is None:
            unnumbered += 1
            continue
        if len(row) < width or any(cell.strip() for cell in row[width:]):
            uneven += 1
            continue
        numbers.append(number)
        for column, kept in zip(columns[1:], cells, strict=True):
            kept.append(row[column].strip())
    if not numbers:
        raise UserError(
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


def _frame_number(text: str) -> int | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return int(value) if value.is_integer() and 0 <= value < 2**31 else None
