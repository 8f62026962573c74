"""Text tables of any making: encoding, delimiter, decimal mark, lines above the header.

UTF-8, UTF-16 with its mark, else the Western code page of old spreadsheets; comma, semicolon or tab; Excel's `sep=;` and title
lines above the header are passed over. Rows are read one by one: a tracker's table of an hour has gigabytes.
"""

import codecs
import csv
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from au_jax.data.annotations.notation import NOT_TEXT, byte_order
from au_jax.errors import DataError

_ABOVE = 200
"""Lines that may stand above a header: iMotions writes dozens."""

_CHUNK = 1 << 20  # bytes


@dataclass(frozen=True)
class Delimited:
    """A table with its rows still to be read.

    Attributes:
      header: cells of the header, stripped, without blank ones at its end; empty: the file holds nothing.
      rows: cells of the rows below it that hold anything, each with the number of its line.
      comma: whether numbers may have a decimal comma, which a table split at commas cannot have.
      above: text of the lines above the header.

    Example:
      >>> table = Delimited(["frame", "AU12"], iter([(2, ["1", "0"]), (3, ["2", "1"])]), comma=False)
      >>> [(line, dict(zip(table.header, cells))) for line, cells in table.rows]
      [(2, {'frame': '1', 'AU12': '0'}), (3, {'frame': '2', 'AU12': '1'})]
    """

    header: list[str]
    rows: Iterator[tuple[int, list[str]]]
    comma: bool
    above: str = ""


def open_table(path: Path, is_header: Callable[[list[str]], bool]) -> Delimited:
    """Opens a table at its header.

    Args:
      path: of the file.
      is_header: whether cells, stripped, are those of the header; where no line's are, the first line is taken.

    Raises:
      DataError: the file cannot be opened or is not text, here or while rows are read.

    Example:
      >>> import tempfile
      >>> path = Path(tempfile.mkdtemp()) / "codes.csv"
      >>> _ = path.write_text("sep=;\\nSession 3\\nframe;AU1\\n\\n1;0,5\\n")
      >>> table = open_table(path, lambda cells: "frame" in cells)
      >>> table.header, list(table.rows), table.comma
      (['frame', 'AU1'], [(5, ['1', '0,5'])], True)
    """
    lines = _lines(path)
    head = list(itertools.islice(lines, _ABOVE))
    told = ""
    first = None
    for place, (_, line) in enumerate(head):
        text = line.strip()
        if text.lower().startswith("sep=") and len(text) == 5:
            told = text[4]
            continue
        first = place if first is None else first
        cells = _cells(path, line, told or max(",;\t", key=line.count))
        if is_header(cells):
            return _table(path, head, lines, place, told)
    return _table(path, head, lines, first or 0, told) if first is not None else Delimited([], iter(()), False)


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
    lines = _lines(path)
    first = next(lines, None)
    if first is not None:
        delimiter = max(",;\t", key=first[1].count)
        yield from (cells for _, cells in _rows(path, itertools.chain([first], lines), delimiter))


def _table(path: Path, head: list[tuple[int, str]], lines: Iterator[tuple[int, str]], place: int, told: str):
    line = head[place][1]
    delimiter = told or max(",;\t", key=line.count)
    header = _cells(path, line, delimiter)
    while header and not header[-1]:
        header.pop()
    above = "\n".join(text.rstrip("\r\n") for _, text in head[:place])
    rows = _rows(path, itertools.chain(head[place + 1 :], lines), delimiter)
    return Delimited(header, rows, delimiter != ",", above)


def _rows(path: Path, lines: Iterator[tuple[int, str]], delimiter: str) -> Iterator[tuple[int, list[str]]]:
    at = 0

    def texts() -> Iterator[str]:
        nonlocal at
        for number, text in lines:
            at = number
            yield text

    try:
        for cells in csv.reader(texts(), delimiter=delimiter):
            yield at, cells
    except csv.Error as error:
        raise DataError(f"{path}, line {at}: cannot be read as a table ({error}); save it again as CSV") from error


def _cells(path: Path, line: str, delimiter: str) -> list[str]:
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter), [])]
    except csv.Error as error:
        raise DataError(f"{path} cannot be read as a table ({error}); save it again as CSV") from error


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbers and texts of the lines that hold anything."""
    encoding = _encoding(path)
    try:
        with open(
            path, newline="", encoding=encoding, errors="replace" if encoding == "cp1252" else "strict"
        ) as stream:
            for number, line in enumerate(stream, start=1):
                if line.strip():
                    yield number, line
    except (UnicodeDecodeError, OSError) as error:
        reason = NOT_TEXT if isinstance(error, UnicodeDecodeError) else getattr(error, "strerror", str(error))
        raise DataError(f"{path} cannot be read as a table ({reason}); save it as CSV in UTF-8") from error


def _encoding(path: Path) -> str:
    """How a file's text is encoded; the whole of it is looked at."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with open(path, "rb") as stream:
            chunk = stream.read(_CHUNK)
            if encoding := byte_order(chunk):
                return encoding
            latin = False
            while chunk:
                if b"\0" in chunk:
                    raise DataError(f"{path} cannot be read as a table ({NOT_TEXT}); save it as CSV in UTF-8")
                if not latin:
                    try:
                        decoder.decode(chunk)
                    except UnicodeDecodeError:
                        latin = True
                chunk = stream.read(_CHUNK)
    except OSError as error:
        raise DataError(f"{path} cannot be read as a table ({error.strerror}); save it as CSV in UTF-8") from error
    return "cp1252" if latin else "utf-8"
