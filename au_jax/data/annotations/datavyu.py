"""Datavyu projects (.opf), read into events; `tiers` says what columns mean.

An .opf file is a ZIP archive whose entry `db` is text: a line for each column with its name and the names of its codes, and
below it a line for each cell, `onset,offset,(value,value)` with times as hh:mm:ss:mmm. A column is a tier. Of several codes
in a cell, one that is called as an AU is that AU; others say intensity, side or a comment.
"""

import re
import zipfile
import zlib
from pathlib import Path

from au_jax.data.annotations.events import EventCodes
from au_jax.data.annotations.notation import parse_code, parse_codes
from au_jax.data.annotations.tiers import Annotation, Tier, events_of_tiers
from au_jax.data.recordings import Problem
from au_jax.errors import DataError

_LIMIT = 64 << 20  # bytes of the entry
_COLUMN = re.compile(r"(?P<name>.*?)\s\((?P<kind>\w+),(?:true|false),.*?\)-(?P<codes>.*)")
_CELL = re.compile(r"([0-9:]+),([0-9:]+),\((.*)\)")
_SPLIT = re.compile(r"(?<!\\),")


def read_datavyu(path: Path, *, person: str | None = None) -> EventCodes:
    """Reads an .opf file.

    Args:
      path: the file.
      person: only the columns of this person; None: all.

    Returns:
      Events in seconds of the video.

    Raises:
      DataError: no ZIP archive with an entry `db`, too large, a line that cannot be read, no column or cell of an AU.

    Example:
      >>> import tempfile
      >>> path = Path(tempfile.mkdtemp()) / "clip.opf"
      >>> with zipfile.ZipFile(path, "w") as archive:
      ...     archive.writestr("db", "#4\\nAU12 (MATRIX,true,)-intensity|NOMINAL\\n00:00:01:000,00:00:02:500,(C)\\n")
      >>> read_datavyu(path).events[0].intensity
      'C'
    """
    text = _database(path)
    problems: list[Problem] = []
    tiers: list[Tier] = []
    codes: list[str] = []
    for number, line in enumerate(text.splitlines()[1:], start=2):
        cell = _CELL.fullmatch(line.strip())
        if cell is None:
            column = _COLUMN.fullmatch(line.strip())
            if column is None:
                if line.strip():
                    raise DataError(
                        f"{path}, line {number} of its db: cannot be read ({line[:60]!r}); save it from Datavyu"
                    )
                continue
            codes = [part.partition("|")[0] for part in column["codes"].split(",")]
            tiers.append(Tier(column["name"].strip()))
            continue
        if not tiers:
            raise DataError(f"{path}, line {number} of its db: a cell stands before any column; save it from Datavyu")
        begin, end = _seconds(path, number, cell[1]), _seconds(path, number, cell[2])
        if end < begin:
            raise DataError(
                f"{path}, line {number} of its db: the cell ends at {cell[2]}, before its onset {cell[1]}; mend it in Datavyu"
            )
        values = [re.sub(r"\\(.)", r"\1", value).strip() for value in _SPLIT.split(cell[3])]
        own = parse_code(tiers[-1].name)
        if own is None:
            values = _named(codes, values)
        text = " ".join(value for value in values if value)
        tiers[-1].annotations.append(Annotation(f"{len(tiers)}.{number}", text, begin, end))
    events, aus, spans = events_of_tiers(path, tiers, problems, person=person)
    return EventCodes(events, aus, spans, "seconds", (), str(path), tuple(problems))


def _named(codes: list[str], values: list[str]) -> list[str]:
    """Values of a cell whose codes may be called as AUs, with 0 or 1 as values; the others as they are."""
    found = [
        code if value.lower() in ("1", "y", "yes", "x") else f"{code}{value}"
        for code, value in zip(codes, values, strict=False)
        if parse_codes(code) and value and value.lower() not in ("0", "n", "no")
    ]
    return ["+".join(found)] if found or any(parse_codes(code) for code in codes) else values


def _database(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            entry = archive.getinfo("db")
            if entry.file_size > _LIMIT:
                raise DataError(
                    f"{path} unpacks to more than {_LIMIT >> 20} MB, which no project has; check that it is one"
                )
            with archive.open(entry) as stream:
                content = stream.read(_LIMIT + 1)
    except KeyError:
        raise DataError(
            f"{path} is an archive without an entry db, and so no Datavyu project; save it from Datavyu"
        ) from None
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
        raise DataError(f"{path} is no whole Datavyu project ({error}); save it from Datavyu again") from error
    if len(content) > _LIMIT:
        raise DataError(f"{path} unpacks to more than {_LIMIT >> 20} MB, which no project has; check that it is one")
    text = content.decode("utf-8", errors="replace")
    if not text.startswith("#"):
        raise DataError(f"{path}: its entry db begins {text[:20]!r} and not with a version; save it from Datavyu again")
    return text


def _seconds(path: Path, number: int, text: str) -> float:
    parts = text.split(":")
    if len(parts) != 4 or not all(part.isdecimal() for part in parts):
        raise DataError(
            f"{path}, line {number} of its db: {text!r} is no time hh:mm:ss:mmm; save it from Datavyu again"
        )
    hours, minutes, seconds, thousandths = (int(part) for part in parts)
    return 3600 * hours + 60 * minutes + seconds + thousandths / 1000
