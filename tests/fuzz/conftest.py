"""Mutated files: a few of each kind in the usual suite, above a thousand in all with `-m slow`."""

import pytest

KINDS = (
    "cut", "empty", "change", "burst", "delete", "insert", "zero", "repeat", "swap", "without a line", "line twice",
    "lines swapped", "cell",
)  # fmt: skip
CELLS = (
    b"", b"nan", b"inf", b"-inf", b"-1", b"1e400", b"0x1", b"1_0", b"\xef\xbc\x91", b'"', b"99999999999999999999", b"2",
    b"A", b"E", b"9", b"-999", b"1,1", b"1;1", b"\t", b"\0", b"\xff\xfe", b"../../x", b" 1 ", b"1.5", b"True", b"\r",
)  # fmt: skip


def mutate(content, generator):
    """One of `KINDS` of damage to bytes; where it lies is drawn as well."""
    kind = KINDS[generator.integers(len(KINDS))]
    if not content or kind == "empty":
        return b""
    data = bytearray(content)
    place = int(generator.integers(len(data)))
    length = int(generator.integers(1, 1 + min(64, len(data))))
    lines = content.split(b"\n")
    line, other = (int(number) for number in generator.integers(len(lines), size=2))
    match kind:
        case "cut":
            return content[:place]
        case "change":
            data[place] ^= 1 << int(generator.integers(8))
        case "burst":
            data[place : place + length] = generator.bytes(len(data[place : place + length]))
        case "delete":
            del data[place : place + length]
        case "insert":
            data[place:place] = generator.bytes(length)
        case "zero":
            data[place : place + length] = bytes(len(data[place : place + length]))
        case "repeat":
            data[place:place] = data[place : place + length]
        case "swap":
            data = data[place:] + data[:place]
        case "without a line":
            return b"\n".join(lines[:line] + lines[line + 1 :])
        case "line twice":
            return b"\n".join([*lines[:line], lines[line], *lines[line:]])
        case "lines swapped":
            lines[line], lines[other] = lines[other], lines[line]
            return b"\n".join(lines)
        case "cell":
            cells = lines[line].split(b",")
            cells[int(generator.integers(len(cells)))] = CELLS[generator.integers(len(CELLS))]
            return b"\n".join([*lines[:line], b",".join(cells), *lines[line + 1 :]])
    return bytes(data)


def amounts(usual, slow):
    """How many files: parametrizes a test by `seeds`, the second time marked slow."""
    return pytest.mark.parametrize(
        "seeds", [pytest.param(range(usual), id="few"), pytest.param(range(slow), id="many", marks=pytest.mark.slow)]
    )
