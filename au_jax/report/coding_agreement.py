"""Two codings of the same recordings, from label files of any kind: tables, a timeline, and a plain sentence per AU."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int8
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from au_jax import console, files
from au_jax.data.annotations.codes import Codes
from au_jax.data.annotations.columns import INTENSITY, OCCURRENCE, Coding
from au_jax.data.annotations.frame_times import FrameClock, regular_clock
from au_jax.data.annotations.label_file import is_label_file, label_stem, last_moment, read_codes
from au_jax.data.readers.base import frame_clock
from au_jax.data.readers.layout import is_picture, is_video
from au_jax.errors import CommandError, DataError
from au_jax.evaluation.agreement import AgreementCounts, AUAgreement, agreement, agreement_counts
from au_jax.labels import ABSENT, AU_NAMES, MISSING, PRESENT
from au_jax.report import style

_SHOWN = 6  # recordings of the timeline
_TOLD = 6  # remarks on files that are printed
_LONGEST = 24 * 3600  # seconds
_COLUMNS = ("kappa", "ac1", "pabak", "f1", "event_agreement", "onset_error", "offset_error", "icc")
_TITLES = ("kappa", "AC1", "PABAK", "F1", "events", "onset", "offset", "ICC")


@dataclass(frozen=True)
class CodedTwice:
    """A recording with two codings.

    Attributes:
      name: of the recording.
      first, second: [T, A] int8 in {-1, 0, +1} of the same frames.
      first_intensities, second_intensities: [T, A] int8 0 to 5, -1 not said.
      fps: frames a second.

    Example:
      >>> codes, unsaid = np.int8([[-1], [1], [1]]), np.full((3, 1), -1, np.int8)
      >>> recording = CodedTwice("smile", codes, np.roll(codes, 1, axis=0), unsaid, unsaid, 25.0)
      >>> (recording.first == recording.second)[:, 0].tolist()
      [False, False, True]
    """

    name: str
    first: Int8[np.ndarray, "T A"]
    second: Int8[np.ndarray, "T A"]
    first_intensities: Int8[np.ndarray, "T A"]
    second_intensities: Int8[np.ndarray, "T A"]
    fps: float


def compare_codings(
    first: str | Path,
    second: str | Path,
    out: str | Path,
    *,
    videos: str | Path | None = None,
    fps: float = 25.0,
    aus: Sequence[int] = (),
    level: int = 1,
    tolerance: int = 5,
    unit: str = "",
    person: str = "",
    replicates: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Writes agreement.md, .json, .png and .svg of two codings, and prints a sentence for each AU.

    Args:
      first, second: a label file each, or folders of them, whose names are those of the recordings.
      out: folder of the files.
      videos: a video, or the folder of the videos; None: frames are `fps` a second.
      fps: of label files without a video, and of folders of frames.
      aus: which AUs; empty: those that both codings have.
      level: intensity, 1 to 5, from which an AU counts as present.
      tolerance: frames by which events may be apart.
      unit: of times that do not say it; person: whose codes, where files hold those of several.
      replicates, seed: of the bootstrap over recordings.

    Returns:
      The content of agreement.json.

    Raises:
      CommandError: no such files, or values out of range.
      DataError: files that cannot be read, or nothing that both have coded.

    Example:
      >>> import tempfile
      >>> folder = Path(tempfile.mkdtemp())
      >>> for name, stop in (("ann", "0.4"), ("bob", "0.36")):
      ...     _ = (folder / f"{name}.csv").write_text(f"AU,onset_s,offset_s\\ncoded,0,1\\n12,0.2,{stop}\\n")
      >>> document = compare_codings(folder / "ann.csv", folder / "bob.csv", folder / "out")  # doctest: +ELLIPSIS
      AU 12: very good agreement (kappa 0.86, ...
      >>> document["aus"]["12"]["frames"], document["aus"]["12"]["events"]
      (25, [1, 1])
    """
    if not fps > 0 or not 1 <= level <= 5 or tolerance < 0 or replicates < 1:
        raise CommandError(
            "give --fps above 0, --level A to E, --tolerance of 0 or more frames, and --replicates of 1 or more"
        )
    pairs, alone = _paired(Path(first), Path(second))
    coding = Coding(aus=tuple(aus) or tuple(AU_NAMES), level=level, unit=unit)
    clocks = {name: _clock(name, paths, coding, videos, fps) for name, paths in pairs.items()}
    both = [_read(side, pairs, clocks, coding, person) for side in (0, 1)]
    common = tuple(
        au for au in coding.aus
        if any(au in codes.aus for codes in both[0].values()) and any(au in codes.aus for codes in both[1].values())
    )  # fmt: skip
    if not common:
        raise DataError(f"{first} and {second} have no AU in common; nothing can be compared")
    recordings = [_aligned(name, both[0][name], both[1][name], clocks[name], coding.aus, common) for name in pairs]
    recordings = _with_both_graded(recordings)
    counts = [_counts(recording, tolerance) for recording in recordings]
    rows = agreement(counts, common, replicates=replicates, seed=seed)
    if not any(row.frames for row in rows):
        raise DataError(f"{first} and {second} coded no frame in common; check clock and offset of the files")
    problems = [problem for side in both for codes in side.values() for problem in codes.problems]
    document = {
        "first": str(first),
        "second": str(second),
        "recordings": [recording.name for recording in recordings],
        "without_partner": alone,
        "tolerance_frames": tolerance,
        "problems": [dataclasses.asdict(problem) for problem in problems],
        "aus": {str(row.au): _document(row) for row in rows},
    }
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    files.write_json(folder / "agreement.json", document)
    files.write_text(folder / "agreement.md", agreement_markdown(rows, document))
    drawing = draw_confusion(recordings, counts, common)
    files.write_bytes(folder / "agreement.png", style.to_png(drawing))
    files.write_bytes(folder / "agreement.svg", style.to_svg(drawing))
    for row in rows:
        console.tell(row.sentence)
    for problem in problems[:_TOLD]:
        console.tell(f"{problem.path}: {problem.text}")
    if len(problems) > _TOLD:
        console.tell(f"and {len(problems) - _TOLD} more remarks, in {folder / 'agreement.json'}")
    if alone:
        console.tell(f"without a partner: {', '.join(alone[:8])}" + f" and {len(alone) - 8} more" * (len(alone) > 8))
    return document


def agreement_markdown(rows: Sequence[AUAgreement], document: Mapping[str, Any]) -> str:
    """The agreement as Markdown: a table, then a sentence for each AU.

    Args:
      rows: from `evaluation.agreement.agreement`.
      document: of `compare_codings`.

    Example:
      >>> codes = np.repeat(np.int8([-1, 1, -1]), 10)[:, None]
      >>> rows = agreement([agreement_counts(codes, codes)], [12])
      >>> agreement_markdown(rows, {"first": "ann.csv", "second": "bob.csv", "tolerance_frames": 5}).splitlines()[0]
      '# Agreement of ann.csv and bob.csv'
    """
    lines = [f"# Agreement of {document['first']} and {document['second']}", ""]
    lines += [f"| AU | {' | '.join(_TITLES)} | frames | recordings |", "|---" * (len(_TITLES) + 3) + "|"]
    for row in rows:
        cells = [_cell(row.values[name]) for name in _COLUMNS]
        lines.append(
            f"| {row.au} {AU_NAMES.get(row.au, '')} | {' | '.join(cells)} | {row.frames:,} | {row.recordings} |"
        )
    lines += [
        "",
        "Values with 95 % intervals of a bootstrap over recordings; `-` is undefined. `events`: share of events that begin ",
    ]
    lines[-1] += (
        f"within {document['tolerance_frames']} frames of each other. `onset`, `offset`: mean distance in frames."
    )
    lines += ["", *(f"- {row.sentence}" for row in rows), ""]
    return "\n".join(lines)


@style.context()
def draw_confusion(
    recordings: Sequence[CodedTwice], counts: Sequence[AgreementCounts], aus: Sequence[int]
) -> style.Drawing:
    """The codings over time: where both have an AU, only the first, only the second.

    Args:
      recordings: with the AUs; of more than six those that agree least are drawn.
      counts: of each recording.
      aus: the AUs.

    Example:
      >>> codes, unsaid = np.repeat(np.int8([-1, 1, -1]), 10)[:, None], np.full((30, 1), -1, np.int8)
      >>> recording = CodedTwice("smile", codes, codes, unsaid, unsaid, 25.0)
      >>> draw_confusion([recording], [agreement_counts(codes, codes)], [12]).alt
      'Timeline of two codings of smile: where both have an AU, and where only one has it.'
    """
    disagree = [
        float(np.sum(count.first_only + count.second_only) / max(1, len(r.first)))
        for r, count in zip(recordings, counts, strict=True)
    ]
    order = sorted(range(len(recordings)), key=lambda index: (-disagree[index], recordings[index].name))[:_SHOWN]
    kinds = {
        "both": style.GREEN,
        "only the first": style.BLUE,
        "only the second": style.ORANGE,
        "not coded by both": style.PALE,
    }
    height = 0.6 + sum(0.5 + 0.18 * len(aus) for _ in order)
    figure = Figure(figsize=(8.0, height), layout="constrained")
    axes = figure.subplots(len(order), 1, squeeze=False)[:, 0]
    for ax, index in zip(axes, order, strict=True):
        recording = recordings[index]
        one, two = recording.first, recording.second
        masks = {
            "both": (one == PRESENT) & (two == PRESENT),
            "only the first": (one == PRESENT) & (two == ABSENT),
            "only the second": (one == ABSENT) & (two == PRESENT),
            "not coded by both": (one == MISSING) | (two == MISSING),
        }
        for row in range(len(aus)):
            for kind, mask in masks.items():
                edges = np.flatnonzero(np.diff(np.concatenate([[0], mask[:, row].astype(np.int8), [0]]))).reshape(-1, 2)
                spans = [(begin / recording.fps, (stop - begin) / recording.fps) for begin, stop in edges.tolist()]
                ax.broken_barh(spans, (row - 0.4, 0.8), facecolors=kinds[kind])
        ax.set_yticks(range(len(aus)), [f"AU {au}" for au in aus])
        ax.set_ylim(len(aus) - 0.5, -0.5)
        ax.set_xlim(0, len(one) / recording.fps)
        ax.set_title(recording.name, loc="left")
    axes[-1].set_xlabel("seconds")
    figure.legend(
        handles=[Patch(color=colour, label=kind) for kind, colour in kinds.items()], loc="outside lower center", ncols=4
    )
    names = ", ".join(recordings[index].name for index in order)
    return style.Drawing(
        figure,
        alt=f"Timeline of two codings of {names}: where both have an AU, and where only one has it.",
        caption="Green: both codings have the AU. Blue: only the first. Orange: only the second. Grey: not coded by both.",
    )


def _paired(first: Path, second: Path) -> tuple[dict[str, tuple[Path, Path]], list[str]]:
    """Name of a recording -> its two label files; and the files without a partner."""
    for path in (first, second):
        if not path.exists():
            raise CommandError(f"there is no label file or folder {path}; check the path")
    if first.is_file() and second.is_file():
        return {label_stem(first.name): (first, second)}, []
    if first.is_file() or second.is_file():
        raise CommandError(f"{first} and {second}: give two files, or two folders of files of the same names")
    one, two = _label_files(first), _label_files(second)
    names = sorted({*one} & {*two})
    if not names:
        raise CommandError(
            f"no label file in {first} ({_listed(one)}) has the name of one in {second} ({_listed(two)}); give them equal names"
        )
    return {name: (one[name], two[name]) for name in names}, sorted({*one} ^ {*two})


def _label_files(folder: Path) -> dict[str, Path]:
    """Name below the folder, without its ending -> label file."""
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and is_label_file(path.name) and not path.name.startswith("."):
            name = (path.parent.relative_to(folder) / label_stem(path.name)).as_posix()
            if name in found:
                raise CommandError(f"{found[name]} and {path} have one name; keep the one that counts")
            found[name] = path
    return found


def _clock(name: str, paths: tuple[Path, Path], coding: Coding, videos: str | Path | None, fps: float) -> FrameClock:
    if videos is not None:
        place = Path(videos)
        if not place.exists():
            raise CommandError(f"there is no video or folder {place}; check --videos")
        if place.is_dir() and not _holds_frames(place):
            hits = [path for path in place.rglob("*") if is_video(path.name) or (path.is_dir() and _holds_frames(path))]
            ends = {path: (path.stem if path.is_file() else path.name) for path in hits}
            named = [path for path in hits if (path.parent.relative_to(place) / ends[path]).as_posix() == name]
            alike = named or [path for path in hits if ends[path] == Path(name).name]
            if len(alike) != 1:
                which = f"{len(named)} videos are called {name}"
                if alike != named:
                    which = f"no video is called {name}, and {len(alike)} are called {Path(name).name}"
                raise CommandError(f"--videos={videos}: {which}; there must be one")
            place = alike[0]
        return frame_clock(place, fps)
    seconds = max(last_moment(path, coding, fps) for path in paths)
    if not 0 < seconds <= _LONGEST:
        raise DataError(
            f"{paths[0]} and {paths[1]} end at {seconds:g} s; check the unit of their times, or give --videos"
        )
    return regular_clock(math.ceil(round(seconds * fps, 6)), fps)


def _holds_frames(folder: Path) -> bool:
    return any(is_picture(path.name) for path in folder.iterdir())


def _read(
    side: int, pairs: Mapping[str, tuple[Path, Path]], clocks: Mapping[str, FrameClock], coding: Coding, person: str
) -> dict[str, Codes]:
    """The codes of one side; if any file has a code above 1, columns that do not say it hold intensities."""

    def read(coding: Coding) -> dict[str, Codes]:
        return {
            name: read_codes(
                paths[side],
                coding,
                first=int(clocks[name].numbers[0]),
                clock=lambda clock=clocks[name]: clock,
                person=person,
            )
            for name, paths in pairs.items()
        }

    found = read(dataclasses.replace(coding, unmarked=OCCURRENCE, undecided=True))
    if any(codes.graded for codes in found.values()):
        found = read(dataclasses.replace(coding, unmarked=INTENSITY))
    return found


def _aligned(
    name: str, first: Codes, second: Codes, clock: FrameClock, aus: Sequence[int], common: Sequence[int]
) -> CodedTwice:
    columns = [list(aus).index(au) for au in common]
    tables = []
    for codes in (first, second):
        labels = np.full((len(clock.numbers), len(common)), MISSING, np.int8)
        grades = np.full(labels.shape, -1, np.int8)
        rows = np.searchsorted(clock.numbers, codes.frames)
        met = (rows < len(clock.numbers)) & (clock.numbers[np.minimum(rows, len(clock.numbers) - 1)] == codes.frames)
        labels[rows[met]] = codes.labels[met][:, columns]
        if codes.intensities is not None:
            grades[rows[met]] = codes.intensities[met][:, columns]
        tables += [labels, grades]
    return CodedTwice(name, tables[0], tables[2], tables[1], tables[3], clock.fps)


def _with_both_graded(recordings: Sequence[CodedTwice]) -> list[CodedTwice]:
    """Intensities are kept for AUs for which both codings have any: of presence alone only the zeros are known."""
    graded = [
        np.any([(getattr(recording, name) > 0).any(0) for recording in recordings], axis=0)
        for name in ("first_intensities", "second_intensities")
    ]
    keep = graded[0] & graded[1]
    return [
        dataclasses.replace(
            recording,
            first_intensities=np.where(keep, recording.first_intensities, np.int8(-1)),
            second_intensities=np.where(keep, recording.second_intensities, np.int8(-1)),
        )
        for recording in recordings
    ]


def _counts(recording: CodedTwice, tolerance: int) -> AgreementCounts:
    return agreement_counts(
        recording.first,
        recording.second,
        first_intensities=recording.first_intensities,
        second_intensities=recording.second_intensities,
        tolerance=tolerance,
    )


def _document(row: AUAgreement) -> dict[str, Any]:
    values = {
        name: [None if math.isnan(part) else round(part, 6) for part in parts] for name, parts in row.values.items()
    }
    return {
        "sentence": row.sentence, "frames": row.frames, "recordings": row.recordings,
        "events": [row.first_events, row.second_events], "value_low_high": values,
    }  # fmt: skip


def _cell(values: tuple[float, float, float]) -> str:
    value, low, high = values
    if math.isnan(value):
        return "-"
    return f"{value:.2f}" + ("" if math.isnan(low) else f" ({low:.2f} to {high:.2f})")


def _listed(names: Mapping[str, Path]) -> str:
    few = list(names)[:3]
    return ", ".join(few) + (f" and {len(names) - 3} more" if len(names) > 3 else "") if few else "none"
