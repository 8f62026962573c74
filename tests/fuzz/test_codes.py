"""Damaged label files: told of or refused in one line, and no label that the file does not state."""

import math
import re

import numpy as np
import pytest

from au_jax.data.annotations.columns import Coding
from au_jax.data.annotations.table import read_intensities, read_table
from au_jax.errors import UserError
from au_jax.labels import PAPER_AUS

from .conftest import amounts, mutate

FRAMES = 40


def occurrence(generator):
    aus = generator.permutation(PAPER_AUS)
    header = ",".join(["frame", *(f"AU{au:02d}" for au in aus)])
    rows = [",".join([str(n), *generator.choice(["0", "1", "9"], 12)]) for n in range(1, FRAMES + 1)]
    return "\n".join([header, *rows]) + "\n"


def bp4d(generator):
    rows = [",".join([str(n), *generator.choice(["0", "1", "9"], 99)]) for n in range(1, FRAMES + 1)]
    return "\n".join([",".join(map(str, range(100))), *rows]) + "\n"


def intensity(generator):
    header = ",".join(["frame", *(f"AU{au:02d}_r" for au in PAPER_AUS)])
    rows = [",".join([str(n), *map(str, generator.integers(0, 6, 12))]) for n in range(1, FRAMES + 1)]
    return "\n".join([header, *rows]) + "\n"


def number(cell):
    try:
        return float(cell)
    except ValueError:
        return math.nan


def text_of(content):
    """Bytes that are no UTF-8 are read as old spreadsheets wrote them."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


def code(cell):
    """An intensity may be a letter."""
    return float("ABCDE".index(cell.upper()) + 1) if cell and cell.upper() in "ABCDE" else number(cell)


def stated(text, frame_name):
    """(frame, AU) -> numbers that any line states for it: read on its own, line by line, without the reader's rules."""
    found = {}
    lines = [line for line in re.split("\r\n|\r|\n", text.removeprefix("\ufeff")) if line.strip()]
    # Damage may have put other lines above the header.
    top = next(row for row, line in enumerate(lines) if frame_name in re.split('[,;\t"]', line.lower()))
    delimiter = max(",;\t", key=lines[top].count)
    cells = [name.strip(' "').lower() for name in lines[top].split(delimiter)]
    names = [re.fullmatch(r"(?:au[ _-]?)?0*(\d+)(?:_\w+)?", name) for name in cells]
    place = cells.index(frame_name)
    for line in lines[top + 1 :]:
        cells = [cell.strip(' "') for cell in line.split(delimiter)]
        # A line of another length is damaged: nobody can tell which of its cells stand where.
        if len(cells) != len(names):
            continue
        for name, cell in zip(names, cells, strict=False):
            if name:
                found.setdefault((number(cells[place]), int(name[1])), set()).add(code(cell))
    return found


@amounts(usual=60, slow=600)
@pytest.mark.parametrize("form", [occurrence, bp4d, intensity])
def test_a_damaged_table_states_every_label_that_is_read(tmp_path, form, seeds):
    path, read = tmp_path / "codes.csv", 0
    for seed in seeds:
        generator = np.random.default_rng([seed, 11])
        content = mutate(form(generator).encode(), generator)
        path.write_bytes(content)
        frame_name = "0" if form is bp4d else "frame"
        try:
            codes = read_table(path, Coding(frame=(frame_name,), level=2))
        except UserError as error:
            assert "\n" not in str(error) and str(path) in str(error)
            continue
        read += 1
        assert (np.diff(codes.frames) > 0).all() and set(np.unique(codes.labels)) <= {-1, 0, 1}
        there = stated(text_of(content), frame_name)
        threshold = 2 if form is intensity else 1
        for row, column in zip(*np.nonzero(codes.labels), strict=True):
            values = there[float(codes.frames[row]), PAPER_AUS[column]]
            wanted = {value >= threshold for value in values if 0 <= value <= 5}
            label = bool(codes.labels[row, column] > 0)
            # An open quotation mark swallows lines, which may have contradicted others.
            assert label in wanted if b'"' in content else wanted == {label}, (
                seed,
                codes.frames[row],
                PAPER_AUS[column],
            )
    # Most damage is local.
    assert read > len(seeds) // 3


@amounts(usual=20, slow=200)
def test_damaged_files_of_single_aus_state_every_label_that_is_read(tmp_path, seeds):
    for seed in seeds:
        generator = np.random.default_rng([seed, 12])
        paths, texts = {}, {}
        for au in (1, 12):
            text = "".join(f"{n},{generator.integers(6)}\n" for n in range(1, FRAMES + 1)).encode()
            paths[au], texts[au] = tmp_path / f"au{au}.txt", mutate(text, generator) if au == 12 else text
            paths[au].write_bytes(texts[au])
        try:
            codes = read_intensities(paths, Coding(level=2))
        except UserError as error:
            assert "\n" not in str(error) and "au12.txt" in str(error)
            continue
        for au in (1, 12):
            header = b"frame,%d\n" % au
            # Without a header, the first line's delimiter is the file's.
            there = stated(text_of(header + texts[au]), "frame")
            for row in np.flatnonzero(codes.labels[:, PAPER_AUS.index(au)]):
                values = there.get((float(codes.frames[row]), au), set())
                wanted = {value >= 2 for value in values if 0 <= value <= 5}
                assert bool(codes.labels[row, PAPER_AUS.index(au)] > 0) in wanted, (seed, codes.frames[row], au)
