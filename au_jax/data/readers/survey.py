"""A look at all recordings before any is decoded: which can be used, and where codes and frames do not fit.

`take_survey` opens videos, lists frames and reads codes. `frame_problems` compares codes and frames of one recording, and
judges picture files by their first and last bytes: a few microseconds a file instead of a decoding. `check` counts what a
user's copy holds, beside what it should hold, before hours go into preparing it.
"""

import dataclasses
from collections.abc import Callable, Iterable, Set
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from au_jax import console
from au_jax.data.annotations.codes import Codes, Facts, spans
from au_jax.data.annotations.columns import INTENSITY, OCCURRENCE, Coding
from au_jax.data.readers.layout import OnDisk, Tree, natural
from au_jax.data.recordings import Problem, RecordingId
from au_jax.errors import DataError, UserError
from au_jax.labels import ABSENT, AU_NAMES, PRESENT, listed
from au_jax.synthfacs.presets import AUS as BP4D_AUS
from au_jax.synthfacs.presets import BP4D_RATES

if TYPE_CHECKING:
    from au_jax.data.readers.base import RawReader

BP4D_COUNTS: dict[str, int] = {"subjects": 41, "sequences": 328, "coded frames": 146_847}
"""What a whole copy of BP4D has."""

UNUSABLE = "recording that cannot be used"
"""Kind of the problems of `Survey.unusable`; their text names the file at fault."""

_MOST_LOST = 0.5  # share of coded frames without a picture from which a recording cannot be used
_FEW_LOST = 5  # coded frames without a picture that a short recording may have whatever their share
_MOST_NAMED = 20  # unreadable pictures of a recording that are named; the others are counted
_MOST_FILES = 40  # label files that are printed
_KNOWN = (
    "AU without events",
    "counts from 0",
    "row without a face",
    "doubled row",
    "time slot without a time",
    "number of tiers",
)
"""Kinds of problems of label files whose content was understood all the same."""

_SHOWN = 3  # problems of a kind that are printed
_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_TIFF_MAGICS = (b"II*\0", b"MM\0*")
_TAIL = 64  # bytes at the end of a picture file


@dataclasses.dataclass(frozen=True)
class Survey:
    """What a look at all recordings found.

    Attributes:
      usable: the recordings that can be used, in order.
      unusable: those that cannot, and why.
      problems: what was refused or left aside, and what concerns the dataset as a whole.
      unmarked: what AU columns hold that do not say it: "occurrence" or "intensity".
      aus: those of `config.data.aus` that any recording has codes for.

    Example:
      >>> clip = OnDisk(RecordingId("anna", "clip"), Path("clip.mp4"), Path("clip.csv"))
      >>> lone = Problem(UNUSABLE, "ben.mp4", "ben.mp4 stands alone")
      >>> survey = Survey({clip.recording: clip}, unusable=(lone,), problems=(), unmarked=OCCURRENCE, aus=(12,))
      >>> [recording.subject for recording in survey.usable], [problem.path for problem in survey.unusable]
      (['anna'], ['ben.mp4'])
    """

    usable: dict[RecordingId, OnDisk]
    unusable: tuple[Problem, ...]
    problems: tuple[Problem, ...]
    unmarked: str
    aus: tuple[int, ...]


def take_survey(
    source: str,
    tree: Tree,
    recordings: Iterable[OnDisk],
    coding: Coding,
    read_codes: Callable[[OnDisk, Coding], Codes],
) -> Survey:
    """Opens the videos, lists the frames and reads the codes of all recordings.

    Args:
      source: for the progress bar.
      tree: the root.
      recordings: what a layout made of it.
      coding: its `unmarked` may be "auto": intensity if any such column holds a code above 1.
      read_codes: reads the codes of a recording.

    Raises:
      DataError: two recordings have one name.
      UserError: there are videos and nothing to decode them.

    Example:
      >>> lone = OnDisk(RecordingId("anna", "clip"), table=folder / "clip.csv", lacks="video called clip.mp4")
      >>> survey = take_survey("folder", Tree(folder), [lone], Coding(aus=(12,)), read_codes=lambda on_disk, coding: None)
      >>> survey.usable, survey.unusable[0].kind
      ({}, 'recording that cannot be used')
    """
    from au_jax.faces.containers import pyav

    ordered = _in_order(recordings)
    if any(on_disk.pictures and on_disk.pictures.is_file() for on_disk in ordered):
        pyav()
    usable: dict[RecordingId, OnDisk] = {}
    unusable: list[Problem] = []
    aus: set[int] = set()
    unused: dict[str, None] = {}
    graded = False
    undecided = coding.unmarked == "auto"
    first_look = dataclasses.replace(coding, unmarked=OCCURRENCE if undecided else coding.unmarked, undecided=undecided)
    for on_disk in console.bar(ordered, desc=f"look at {source}", unit="video", leave=False):
        try:
            opened, numbers = _open(on_disk, tree)
            codes = read_codes(opened, first_look)
            _check_met(opened, numbers, codes.frames)
        except UserError as error:
            unusable.append(Problem(UNUSABLE, str(on_disk.place), str(error)))
            continue
        usable[on_disk.recording] = opened
        graded |= codes.graded
        aus.update(codes.aus)
        unused.update(dict.fromkeys(codes.unused))
    auto = INTENSITY if graded else OCCURRENCE
    problems = [*tree.problems, *_column_problems(tree.root, coding.aus, aus, unused)] if usable else tree.problems
    unmarked = auto if coding.unmarked == "auto" else coding.unmarked
    return Survey(usable, tuple(unusable), tuple(problems), unmarked, tuple(au for au in coding.aus if au in aus))


def _in_order(recordings: Iterable[OnDisk]) -> list[OnDisk]:
    ordered = sorted(recordings, key=lambda on_disk: [natural(name) for name in dataclasses.astuple(on_disk.recording)])
    for one, other in zip(ordered, ordered[1:], strict=False):
        if one.recording == other.recording:
            subject, video = dataclasses.astuple(one.recording)
            raise DataError(f"{one.place} and {other.place} would both be called {subject}/{video} here; rename one")
    return ordered


def _open(on_disk: OnDisk, tree: Tree) -> tuple[OnDisk, Set[int]]:
    """Adds a video's length; the frame numbers of a folder.

    Raises:
      UserError: pictures or codes are not there or cannot be opened.
    """
    from au_jax.faces.decoding import probe
    from au_jax.faces.frame_folder import folder_notes, order_frames

    if on_disk.flaw:
        raise DataError(on_disk.flaw)
    if on_disk.pictures is None or on_disk.codes_path is None:
        raise DataError(f"{on_disk.place} stands alone: there is no {on_disk.lacks}; add it, or remove this")
    if on_disk.pictures.is_file():
        facts = probe(on_disk.pictures)
        return dataclasses.replace(on_disk, length=facts.frames, first=1, notes=facts.notes), frozenset()
    if tree.links_out(on_disk.pictures):
        raise DataError(f"{on_disk.pictures} holds links that lead out of {tree.root}; put the files themselves there")
    found = order_frames(on_disk.pictures)
    if not found.files:
        raise DataError(
            f"{on_disk.pictures} holds no frames: no .jpg, .png, .bmp or .tif with a number in its name; add them"
        )
    notes = tuple(folder_notes(found))
    return dataclasses.replace(on_disk, first=next(iter(found.files)), notes=notes), found.files.keys()


def _check_met(on_disk: OnDisk, numbers: Set[int], coded: np.ndarray) -> None:
    """Refuses codes of which most meet no frame: these count something else than the recording's frames.

    Raises:
      DataError: tells which numbers are on either side.
    """
    from au_jax.faces.packet_times import packet_times

    if numbers:
        met = np.isin(coded, np.fromiter(numbers, np.int64, len(numbers)))
        there = f"frames {min(numbers)} to {max(numbers)}"
    else:
        assert on_disk.pictures is not None  # it has been opened
        length = on_disk.length or 0
        if not length or (coded > length).mean() >= _MOST_LOST:
            length = len(packet_times(on_disk.pictures)[0])  # the header may err
        met = (coded >= 1) & (coded <= length)
        there = f"frames 1 to {length}"
    if not met.any():
        raise DataError(
            f"{on_disk.pictures} has none of the frames {spans(coded)} that {on_disk.codes_path} codes ({there} are there); "
            "mend their numbers"
        )
    if met.mean() <= 1 - _MOST_LOST and (~met).sum() > _FEW_LOST:
        raise DataError(
            f"{on_disk.codes_path} codes {len(coded)} frames ({spans(coded, 2)}), of which {int((~met).sum())} are not in "
            f"{on_disk.pictures} ({there} are there); if its numbers are times, name their column as in "
            '--config.data.columns="time=..."'
        )


def _column_problems(root: Path, wanted: tuple[int, ...], aus: set[int], unused: Iterable[str]) -> list[Problem]:
    problems = []
    if absent := [au for au in wanted if au not in aus]:
        text = f"no label file has AU {listed(absent)}; these labels are missing"
        problems.append(Problem("AU not coded", str(root), text, len(absent)))
    if names := sorted(unused, key=natural):
        more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
        named = ", ".join(names[:_MOST_NAMED])
        text = f"{named}{more}: not among the AUs of config.data.aus ({listed(wanted)}), not used"
        problems.append(Problem("column without use", str(root), text, len(names)))
    return problems


def frame_problems(on_disk: OnDisk, coded: np.ndarray) -> list[Problem]:
    """Where the codes and the frames of a recording do not fit, and pictures that are not whole.

    Of a video only the header is known, which may err; decoding it will tell.

    Args:
      on_disk: a usable recording.
      coded: [N] frame numbers with codes, sorted.

    Example:
      >>> clip = OnDisk(RecordingId("anna", "clip"), Path("clip.mp4"), Path("clip.csv"), length=5)
      >>> [(problem.kind, problem.count) for problem in frame_problems(clip, np.arange(2, 8))]
      [('label without frame', 2), ('frame outside the codes', 1)]
    """
    from au_jax.faces.frame_folder import frame_files

    assert on_disk.pictures is not None  # a usable recording has pictures
    first, last = int(coded[0]), int(coded[-1])
    problems = [
        Problem("pictures that are changed as they are read", str(on_disk.pictures), note) for note in on_disk.notes
    ]
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


def picture_flaw(path: Path) -> str:
    """Says why a picture file cannot be read, as far as its ends show; "" where they are in order.

    Example:
      >>> import tempfile
      >>> path = Path(tempfile.mkdtemp()) / "1.jpg"
      >>> _ = path.write_bytes(b"\\xff\\xd8\\xff cut off")
      >>> picture_flaw(path)
      'ends too early (a JPEG without end marker)'
    """
    try:
        with open(path, "rb") as stream:
            head = stream.read(8)
            size = stream.seek(0, 2)
            stream.seek(max(0, size - _TAIL))
            tail = stream.read(_TAIL)
    except OSError as error:
        return f"cannot be opened ({error.strerror})"
    if not size:
        return "has no content"
    if head.startswith(b"\xff\xd8\xff"):
        # Some cameras fill the last block up with zeros.
        return "" if tail.rstrip(b"\0\r\n ").endswith(b"\xff\xd9") else "ends too early (a JPEG without end marker)"
    if head == _PNG_MAGIC:
        return "" if b"IEND" in tail else "ends too early (a PNG without end marker)"
    if head.startswith(b"BM"):  # its size, little-endian; some programs leave it 0
        return "" if size >= int.from_bytes(head[2:6], "little") else "ends too early (a BMP shorter than it says)"
    if head.startswith(_TIFF_MAGICS):
        return ""  # its parts lie anywhere
    return "is no JPEG, PNG, BMP or TIFF"


def _unreadable(paths: Iterable[Path]) -> list[Problem]:
    flaws = [(path, flaw) for path in paths if (flaw := picture_flaw(path))]
    problems = [Problem("unreadable frame", str(path), flaw) for path, flaw in flaws[:_MOST_NAMED]]
    if (more := len(flaws) - _MOST_NAMED) > 0:
        problems.append(Problem("unreadable frame", str(flaws[-1][0].parent), f"{more} more that are not whole", more))
    return problems


@dataclasses.dataclass(frozen=True)
class FileFacts:
    """What the check tells of the label file of one recording.

    Attributes:
      recording: subject/video; path: of the file.
      facts: kind, clock, offset, coded span and events.
      aus: those that it has codes for.
      not_understood: rows, tiers or codes that were left out or taken as missing.

    Example:
      >>> facts = Facts("ELAN", "seconds of the player", 0.0, 1, 250, 7)
      >>> file = FileFacts("anna/clip", "raw/anna/clip.eaf", facts, aus=(6, 12), not_understood=0)
      >>> file.recording, file.facts.kind, file.aus
      ('anna/clip', 'ELAN', (6, 12))
    """

    recording: str
    path: str
    facts: Facts
    aus: tuple[int, ...]
    not_understood: int


@dataclasses.dataclass(frozen=True)
class Check:
    """What a copy holds.

    Attributes:
      title: source and folder.
      reading: how codes become labels.
      counts: subjects, sequences and coded frames of the recordings that can be used.
      aus: AUs of `config.data.aus`, in order of the arrays.
      present: [A] frames in which each AU is coded as present.
      absent: [A] frames in which each AU is coded as absent.
      known_counts: those of a whole copy, where they are known.
      known_rates: [A] base rates of a whole copy, NaN of an AU where it is not known; None where none is.
      unusable: recordings that cannot be used.
      problems: what else was found, without decoding whole videos.
      label_files: of sources whose label files may be of several kinds.
      persons: whom the codes mean, of several people in a picture.

    Example:
      >>> counts = {"subjects": 1, "sequences": 2, "coded frames": 100}
      >>> present, absent = np.array([25]), np.array([75])
      >>> found = Check("folder in raw", "occurrence", counts, (12,), present, absent, None, None, (), ())
      >>> found.base_rates.tolist(), found.always_present.tolist()
      ([0.25], [0.4])
    """

    title: str
    reading: str
    counts: dict[str, int]
    aus: tuple[int, ...]
    present: Int[np.ndarray, " A"]
    absent: Int[np.ndarray, " A"]
    known_counts: dict[str, int] | None
    known_rates: Float[np.ndarray, " A"] | None
    unusable: tuple[Problem, ...]
    problems: tuple[Problem, ...]
    label_files: tuple[FileFacts, ...] = ()
    persons: str = "largest"

    @property
    def base_rates(self) -> Float[np.ndarray, " A"]:
        """[A] share of the frames with a code of the AU in which it is present; NaN where there are none."""
        coded = self.present + self.absent
        return np.where(coded > 0, self.present / np.maximum(coded, 1), np.nan)

    @property
    def always_present(self) -> Float[np.ndarray, " A"]:
        """[A] F1 of calling the AU present in every frame: 2p / (1 + p) at base rate p."""
        return 2 * self.base_rates / (1 + self.base_rates)

    def raise_if_unusable(self, skip: bool) -> None:
        """Stops where recordings cannot be used.

        Args:
          skip: leave them out instead (`config.data.skip_unusable`), if any can be used.

        Raises:
          DataError: how many they are, the first of them, and what to do.
        """
        total = self.counts["sequences"] + len(self.unusable)
        if self.unusable and not self.counts["sequences"]:
            raise DataError(
                f"none of {total} recordings can be used, the first because {self.unusable[0].text}; mend them"
            )
        if self.unusable and not skip:
            raise DataError(
                f"{len(self.unusable)} of {total} recordings cannot be used, the first because {self.unusable[0].text}; "
                "mend them (au-jax prepare --check_only lists all), or leave them out with --config.data.skip_unusable=True"
            )

    def text(self) -> str:
        """The tables and the first few problems of each kind, with the number of the others."""
        known = self.known_counts or {}
        counts = [["", "found", *(["known"] if known else [])]]
        counts += [[name, f"{n:,}", *([f"{known[name]:,}"] if known else [])] for name, n in self.counts.items()]
        whose = f"of several people in a picture the codes mean: {self.persons}"
        parts = [self.title, self.reading, whose, "", _aligned(counts), "", _aligned(self._au_rows())]
        if self.label_files:
            parts += ["", _aligned(self._file_rows())]
            if (more := len(self.label_files) - _MOST_FILES) > 0:
                parts.append(f"and {more} more label files")
        for problems in (self.unusable, self.problems):
            kinds = dict.fromkeys(problem.kind for problem in problems)
            for kind in kinds:
                parts += ["", *_lines(kind, [problem for problem in problems if problem.kind == kind])]
        if not self.unusable and not self.problems:
            parts += ["", "No problems found."]
        return "\n".join(parts)

    def document(self) -> dict[str, Any]:
        """The same for JSON, with all problems; shares in percent, NaN where an AU has no codes."""
        rates = self.known_rates
        return {
            "title": self.title,
            "reading": self.reading,
            "persons": self.persons,
            "counts": self.counts,
            "known_counts": self.known_counts,
            "aus": {
                str(au): {
                    "coded_frames": int(self.present[index] + self.absent[index]),
                    "base_rate": round(100 * float(self.base_rates[index]), 3),
                    "known_base_rate": None
                    if rates is None or np.isnan(rates[index])
                    else round(100 * float(rates[index]), 3),
                    "always_present_f1": round(100 * float(self.always_present[index]), 3),
                }
                for index, au in enumerate(self.aus)
            },
            "label_files": [dataclasses.asdict(file) for file in self.label_files],
            "unusable": [dataclasses.asdict(problem) for problem in self.unusable],
            "problems": [dataclasses.asdict(problem) for problem in self.problems],
        }

    def _file_rows(self) -> list[list[str]]:
        rows = [["label file", "kind", "clock", "offset s", "coded frames", "AUs", "events", "not understood"]]
        for file in self.label_files[:_MOST_FILES]:
            facts = file.facts
            span = f"{facts.begin} to {facts.end}"
            row = [f"{file.recording}: {Path(file.path).name}", facts.kind, facts.clock, f"{facts.offset:g}", span]
            rows.append([*row, " ".join(map(str, file.aus)), str(facts.events), str(file.not_understood)])
        return rows

    def _au_rows(self) -> list[list[str]]:
        rates = self.known_rates
        beside = ["known %", "difference"] if rates is not None else []
        rows = [["AU", "coded frames", "base rate %", *beside, "F1 of always present %"]]
        for index, au in enumerate(self.aus):
            rate = 100 * self.base_rates[index]
            if rates is not None:
                beside = [_percent(100 * rates[index]), _percent(rate - 100 * rates[index], "+.1f")]
            coded = f"{self.present[index] + self.absent[index]:,}"
            always = _percent(100 * self.always_present[index])
            rows.append([f"{au:2d} {AU_NAMES[au]}", coded, _percent(rate), *beside, always])
        return rows


def check(reader: "RawReader") -> Check:
    """Looks through a copy of recordings: names, headers and codes; no picture is decoded but the first of each video.

    Raises:
      DataError: no folder, no recordings in it, or two of one name.

    Example:
      >>> import tempfile
      >>> from PIL import Image
      >>> from au_jax.config import DataConfig
      >>> from au_jax.data.readers.folder import FolderReader
      >>> clip = Path(tempfile.mkdtemp()) / "anna" / "clip"
      >>> clip.mkdir(parents=True)
      >>> Image.new("RGB", (16, 12)).save(clip / "1.png")
      >>> _ = clip.with_suffix(".csv").write_text("frame,AU05\\n1,1\\n")
      >>> data = DataConfig(raw=str(clip.parents[1]), aus=(5,), image_size=200)
      >>> check(FolderReader(data)).counts
      {'subjects': 1, 'sequences': 1, 'coded frames': 1}
    """
    survey = reader.survey()
    problems = list(survey.problems)
    present, absent = np.zeros(len(reader.aus), np.int64), np.zeros(len(reader.aus), np.int64)
    coded = 0
    label_files = []
    for recording in console.bar(survey.usable, desc=f"check {reader.source}", unit="video"):
        codes, met = reader.examine(recording)
        problems += met
        present += (codes.labels == PRESENT).sum(0)
        absent += (codes.labels == ABSENT).sum(0)
        coded += int(codes.labels.any(1).sum())
        if codes.facts is not None:
            strange = sum(problem.count for problem in codes.problems if problem.kind not in _KNOWN)
            path = str(survey.usable[recording].codes_path)
            name = f"{recording.subject}/{recording.video}"
            label_files.append(FileFacts(name, path, codes.facts, codes.aus, strange))
    subjects = len({recording.subject for recording in survey.usable})
    known = reader.source == "bp4d" and reader.level == reader.default_level
    rates = dict(zip(BP4D_AUS, BP4D_RATES, strict=True))
    return Check(
        title=f"{reader.source} in {reader.root}",
        reading=reader.reading(),
        counts=dict(zip(BP4D_COUNTS, (subjects, len(survey.usable), coded), strict=True)),
        aus=reader.aus,
        present=present,
        absent=absent,
        known_counts=BP4D_COUNTS if known else None,
        known_rates=np.array([rates.get(au, np.nan) for au in reader.aus]) if known else None,
        unusable=survey.unusable,
        problems=tuple(problems),
        label_files=tuple(label_files),
        persons=reader.persons,
    )


def _lines(kind: str, problems: list[Problem]) -> list[str]:
    lines = [f"{kind}: {sum(problem.count for problem in problems):,}"]
    for problem in problems[:_SHOWN]:
        # The line of a recording that cannot be used names the file at fault itself.
        lines.append(f"  {problem.text}" if kind == UNUSABLE else f"  {problem.path}: {problem.text}")
    if len(problems) > _SHOWN:
        lines.append(f"  and {len(problems) - _SHOWN} more such lines")
    return lines


def _percent(value: float, form: str = ".1f") -> str:
    return format(value, form) if np.isfinite(value) else "-"


def _aligned(rows: list[list[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    )
