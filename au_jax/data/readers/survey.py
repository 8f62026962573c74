"""A look at all recordings before any is decoded: which can be used, and where codes and frames do not fit."""

import dataclasses
from collections.abc import Callable, Iterable, Set
from pathlib import Path

import numpy as np

from au_jax import console
from au_jax.data.readers.codes import INTENSITY, OCCURRENCE, Codes, Coding, spans
from au_jax.data.readers.layout import OnDisk, Tree, natural
from au_jax.data.readers.picture_headers import picture_flaw
from au_jax.data.recordings import Problem, RecordingId
from au_jax.errors import UserError
from au_jax.labels import AUS

UNUSABLE = "recording that cannot be used"
"""Kind of the problems of `Survey.unusable`; their text names the file at fault."""

_MOST_NAMED = 20  # unreadable pictures of a recording that are named; the others are counted


@dataclasses.dataclass(frozen=True)
class Survey:
    """What a look at all recordings found.

    Attributes:
      usable: the recordings that can be used, in order.
      unusable: those that cannot, and why.
      problems: what was refused or left aside, and what concerns the dataset as a whole.
      unmarked: what AU columns hold that do not say it: "occurrence" or "intensity".
      aus: those of the 12 AUs that any recording has codes for.
    """

    usable: dict[RecordingId, OnDisk]
    unusable: tuple[Problem, ...]
    problems: tuple[Problem, ...]
    unmarked: str
    aus: tuple[int, ...]


def take_survey(
    source: str,
    tree: Tree,
    found: Iterable[OnDisk],
    coding: Coding,
    read_codes: Callable[[OnDisk, Coding], Codes],
) -> Survey:
    """Opens the videos, lists the frames and reads the codes of all recordings.

    Args:
      source: for the progress bar; tree: the root; found: what a layout made of it.
      coding: its `unmarked` may be "auto": intensity if any such column holds a code above 1.
      read_codes: reads the codes of a recording.

    Raises:
      UserError: two recordings have one name, or there are videos and nothing to decode them.
    """
    from au_jax.faces.decoding import pyav

    ordered = _in_order(found)
    if any(on_disk.pictures and on_disk.pictures.is_file() for on_disk in ordered):
        pyav()
    usable: dict[RecordingId, OnDisk] = {}
    unusable: list[Problem] = []
    aus: set[int] = set()
    unused: dict[str, None] = {}
    graded = False
    for on_disk in console.bar(ordered, desc=f"look at {source}", unit="video", leave=False):
        try:
            opened, numbers = _open(on_disk, tree)
            codes = read_codes(opened, dataclasses.replace(coding, unmarked=OCCURRENCE))
            if numbers and numbers.isdisjoint(codes.frames.tolist()):
                raise UserError(
                    f"{opened.pictures} has none of the frames {spans(codes.frames)} that {opened.codes_path} codes; "
                    "mend their numbers"
                )
        except UserError as error:
            unusable.append(Problem(UNUSABLE, str(on_disk.place), str(error)))
            continue
        usable[on_disk.recording] = opened
        graded |= codes.graded
        aus.update(codes.aus)
        unused.update(dict.fromkeys(codes.unused))
    auto = INTENSITY if graded else OCCURRENCE
    problems = [*tree.problems, *_column_problems(tree.root, aus, unused)] if usable else tree.problems
    unmarked = auto if coding.unmarked == "auto" else coding.unmarked
    in_order = tuple(au for au in AUS if au in aus)
    return Survey(usable, tuple(unusable), tuple(problems), unmarked, in_order)


def _in_order(found: Iterable[OnDisk]) -> list[OnDisk]:
    ordered = sorted(found, key=lambda on_disk: [natural(name) for name in dataclasses.astuple(on_disk.recording)])
    for one, other in zip(ordered, ordered[1:], strict=False):
        if one.recording == other.recording:
            subject, video = dataclasses.astuple(one.recording)
            raise UserError(f"{one.place} and {other.place} would both be called {subject}/{video} here; rename one")
    return ordered


def _open(on_disk: OnDisk, tree: Tree) -> tuple[OnDisk, Set[int]]:
    """Adds a video's length; the frame numbers of a folder.

    Raises:
      UserError: pictures or codes are not there or cannot be opened.
    """
    from au_jax.faces.video import frame_files, probe

    if on_disk.flaw:
        raise UserError(on_disk.flaw)
    if on_disk.pictures is None or on_disk.codes_path is None:
        raise UserError(f"{on_disk.place} stands alone: there is no {on_disk.lacks}; add it, or remove this")
    if on_disk.pictures.is_file():
        return dataclasses.replace(on_disk, length=probe(on_disk.pictures).frames), frozenset()
    if tree.links_out(on_disk.pictures):
        raise UserError(f"{on_disk.pictures} holds links that lead out of {tree.root}; put the files themselves there")
    files = frame_files(on_disk.pictures)
    if not files:
        raise UserError(f"{on_disk.pictures} holds no frames: no .jpg or .png whose name ends in a number; add them")
    return on_disk, files.keys()


def _column_problems(root: Path, aus: set[int], unused: Iterable[str]) -> list[Problem]:
    problems = []
    if absent := [str(au) for au in AUS if au not in aus]:
        text = f"no label file has AU {', '.join(absent)}; these labels are missing"
        problems.append(Problem("AU absent", str(root), text, len(absent)))
    if names := sorted(unused, key=natural):
        more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
        text = f"{', '.join(names[:_MOST_NAMED])}{more}: not among the 12 AUs, not used"
        problems.append(Problem("column without use", str(root), text, len(names)))
    return problems


def frame_problems(on_disk: OnDisk, coded: np.ndarray) -> list[Problem]:
    """Where the codes and the frames of a recording do not fit, and pictures that are not whole.

    Of a video only the header is known, which may err; decoding it will tell.

    Args:
      on_disk: a usable recording.
      coded: [N] frame numbers with codes, sorted.
    """
    from au_jax.faces.video import frame_files

    assert on_disk.pictures is not None  # a usable recording has pictures
    first, last = int(coded[0]), int(coded[-1])
    problems = []
    if on_disk.pictures.is_dir():
        files = frame_files(on_disk.pictures)
        numbers = np.fromiter(files, np.int64, len(files))
        lacking = np.setdiff1d(coded, numbers)
        inside = int(((first <= numbers) & (numbers <= last)).sum())
        total, where = len(files), "but there is no such picture"
        problems += _unreadable([path for number, path in files.items() if first <= number <= last])
    else:
        total = on_disk.length or max(last, 0)
        lacking = coded[(coded < 1) | (coded > total)]
        inside = max(0, min(last, total) - max(first, 1) + 1)
        where = f"but the video has frames 1 to {total} by its header"
    gaps, outside = inside - (len(coded) - len(lacking)), total - inside
    for kind, text, count in (
        ("label without frame", f"frames {spans(lacking)} have codes, {where}", len(lacking)),
        ("frame without label", f"{gaps} frames between the first and the last coded one have no codes", gaps),
        ("frame outside the codes", f"{outside} frames before the first or after the last coded one", outside),
    ):
        if count:
            problems.append(Problem(kind, str(on_disk.pictures), text, count))
    return problems


def _unreadable(paths: Iterable[Path]) -> list[Problem]:
    flaws = [(path, flaw) for path in paths if (flaw := picture_flaw(path))]
    problems = [Problem("unreadable frame", str(path), flaw) for path, flaw in flaws[:_MOST_NAMED]]
    if (more := len(flaws) - _MOST_NAMED) > 0:
        problems.append(Problem("unreadable frame", str(flaws[-1][0].parent), f"{more} more that are not whole", more))
    return problems
