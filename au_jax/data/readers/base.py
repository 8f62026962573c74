"""What the readers of recordings on disk share: their config, the recordings that can be used, their codes and faces."""

import abc
import dataclasses
import functools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from au_jax.config import DataConfig
from au_jax.data.annotations.codes import Codes, known_intensities, spans
from au_jax.data.annotations.columns import FRAME, INTENSITY, OCCURRENCE, TIME, Coding
from au_jax.data.annotations.frame_times import FrameClock
from au_jax.data.annotations.label_file import FRAME_TABLE, kind_of, read_codes, read_events
from au_jax.data.annotations.notation import LETTERS
from au_jax.data.annotations.table import add_intensities, parse_table, read_intensities, read_table
from au_jax.data.provenance import origin_of
from au_jax.data.readers.layout import OnDisk, Tree
from au_jax.data.readers.survey import Survey, frame_problems, take_survey
from au_jax.data.recordings import Faces, Problem, RecordingId, aus_suffix, safe_name
from au_jax.errors import ConfigError, DataError
from au_jax.faces.person import Box, parse_persons
from au_jax.labels import MISSING, check_aus, listed

if TYPE_CHECKING:
    from au_jax.faces.decoding import VideoFrame
    from au_jax.faces.tracking import RegisteredFace

_CHUNK = 64  # frames

# au_jax.main, which comes here where nothing has been prepared, has no --raw.
_PREPARE = "prepare them with au-jax prepare --raw=FOLDER and otherwise the same options"


class RawReader(abc.ABC):
    """Reads the recordings below `config.data.raw`; a subclass knows which files of its layout belong together.

    The disk is looked at when recordings are first asked for, and once: a pickled reader takes along what was found.

    Args:
      data: `config.data`.

    Attributes:
      name: identifier of the prepared dataset.
      aus: AUs of the labels, in order of their columns.
      level: intensity from which an AU counts as present, A to E.
      root: folder of the recordings.
      coding: how codes are read; its `unmarked` may be "auto".
      persons: whom the codes mean, of several people in a picture (`config.data.person`).

    Raises:
      ConfigError: a field of `config.data` has a value that cannot be used.

    Example:
      >>> from au_jax.data.readers.disfa import DisfaReader
      >>> reader = DisfaReader(DataConfig(raw="disfa", aus=(12,), image_size=200))
      >>> isinstance(reader, RawReader), reader.level, reader.coding.level, reader.name
      (True, 'B', 2, 'disfa_aus12_200px')
    """

    source: ClassVar[str]
    default_level: ClassVar[str] = "A"
    """The source's own intensity from which an AU counts as present."""
    layout: ClassVar[str]
    """What is expected below the root, for messages."""
    any_format: ClassVar[bool] = False
    """Whether its label files may be of every kind that `annotations.label_file` knows."""

    def __init__(self, data: DataConfig):
        self.aus: tuple[int, ...] = check_aus(data.aus)
        self.level: str = (data.level or self.default_level).upper()
        if self.level not in tuple(LETTERS):
            raise ConfigError(f"config.data.level is {data.level!r}; choose one of {', '.join(LETTERS)}")
        if data.codes not in ("auto", OCCURRENCE, INTENSITY):
            raise ConfigError(f"config.data.codes is {data.codes!r}; choose auto, {OCCURRENCE} or {INTENSITY}")
        if not data.fps > 0:
            raise ConfigError(f"config.data.fps is {data.fps}; give the frames a second of the frame folders")
        self.root = Path(data.raw)
        self.coding = Coding(
            level=LETTERS.index(self.level) + 1,
            unmarked=data.codes,
            # Who asks for a level wants the columns that have levels.
            preferred=INTENSITY if data.level else OCCURRENCE,
            columns=parse_columns(data.columns, self.aus),
            aus=self.aus,
            first=None if data.first_frame < 0 else int(data.first_frame),
            unit=data.label_unit,
            offset=float(data.label_offset),
            coded=tuple(int(au) for au in data.coded_aus),
        )
        level = "" if self.level == self.default_level else f"_{self.level}"
        own = safe_name(data.name or self.source)
        self.name: str = f"{own}{level}{aus_suffix(self.aus)}_{data.image_size}px"
        self._named_root = bool(data.raw)
        self._fps = float(data.fps)
        self._rotate = int(data.rotate)
        self.persons: str = data.person
        self._persons = parse_persons(data.person)
        self._landmarks = data.landmarks
        self._size = int(data.image_size)
        self._survey: Survey | None = None

    @abc.abstractmethod
    def find(self, tree: Tree) -> Iterator[OnDisk]:
        """Yields the recordings, and what there is of those that lack pictures or codes.

        Raises:
          DataError: the root does not have this layout.
        """

    def reading(self) -> str:
        """How codes become labels, in one line."""
        holds = f"AU columns that do not say it hold {self.survey().unmarked}"
        return f"{holds}; an intensity counts as present from level {self.level}, an occurrence as it is coded"

    def recordings(self) -> list[RecordingId]:
        """The recordings that can be used, in order of subject and video.

        Raises:
          DataError: as `survey`, or none can be used.
        """
        survey = self.survey()
        if not survey.usable:
            number, first = len(survey.unusable), survey.unusable[0]
            raise DataError(f"none of the {number} recordings below {self.root} can be used; the first: {first.text}")
        return list(survey.usable)

    def survey(self) -> Survey:
        """Looks at all recordings: opens the videos, lists the frames, reads the codes.

        Raises:
          DataError: no root, no recordings below it, two of one name, or another layout.
        """
        if self._survey is None:
            tree, on_disk = self._look()
            self._check_persons([found.recording for found in on_disk])
            self._survey = take_survey(self.source, tree, on_disk, self.coding, self._read_codes)
        return self._survey

    def origins(self) -> dict[RecordingId, dict[str, Any]]:
        """What every recording on disk is made from, usable or not; no file of pictures is opened (`origin_of`).

        Raises:
          DataError: no root, no recordings below it, or another layout.
        """
        return {on_disk.recording: origin_of(on_disk, self.root) for on_disk in self._look()[1]}

    def origin(self, recording: RecordingId) -> dict[str, Any]:
        """The same of one recording that can be used, as its files are now."""
        return origin_of(self.survey().usable[recording], self.root)

    def _check_persons(self, recordings: Sequence[RecordingId]) -> None:
        known = {name for each in recordings for name in (each.subject, f"{each.subject}/{each.video}")}
        if strangers := [name for name in self._persons.named if name not in known]:
            raise ConfigError(
                f"config.data.person names {', '.join(strangers)}, which {self.root} does not have; give subjects, or "
                f"subject/video, such as {min(known)}"
            )

    def _look(self) -> tuple[Tree, list[OnDisk]]:
        """Finds the recordings, without opening them."""
        if not self._named_root:
            raise DataError(f"config.data.raw names no folder of {self.source} recordings; {_PREPARE}")
        if not self.root.is_dir():
            raise DataError(f"there is no folder {self.root} of recordings; check --raw or config.data.raw")
        tree = Tree(self.root)
        on_disk = list(self.find(tree))
        if not on_disk:
            refused = f" ({tree.problems[0].path}: {tree.problems[0].text})" if tree.problems else ""
            raise DataError(f"{self.root} has no {self.source} recordings{refused}; it should hold {self.layout}")
        return tree, on_disk

    def codes(self, recording: RecordingId) -> Codes:
        """The codes of a recording."""
        survey = self.survey()
        coding = dataclasses.replace(self.coding, unmarked=survey.unmarked)
        return self._read_codes(survey.usable[recording], coding)

    def pictures(self, recording: RecordingId) -> Iterator["VideoFrame"]:
        """All frames of a recording, coded or not."""
        from au_jax.faces.decoding import read_folder, read_video

        path = self._pictures(recording)
        if path.is_dir():
            return read_folder(path, self._fps, self._rotate)
        return read_video(path, rotate=self._rotate)

    def faces(self, recording: RecordingId) -> Iterator[Faces]:
        """The registered frames from the first to the last coded one; see `coded_faces`."""
        codes = self.codes(recording)
        path = self._pictures(recording)
        frames = self._coded_frames(path, codes) if path.is_dir() else self.pictures(recording)
        person = self._persons.of(recording.subject, recording.video)
        return coded_faces(frames, codes, self._size, path, person, self._landmarks)

    def examine(self, recording: RecordingId) -> tuple[Codes, list[Problem]]:
        """The codes of a recording, and what is wrong with it as far as it shows without decoding."""
        codes = self.codes(recording)
        on_disk = self.survey().usable[recording]
        path = str(on_disk.codes_path)
        problems = list(codes.problems)
        if absent := [au for au in self.survey().aus if au not in codes.aus]:
            problems.append(Problem("AU not coded", path, f"has no AU {listed(absent)}", len(absent)))
        if blank := int((~codes.labels.any(1)).sum()):
            problems.append(Problem("row without codes", path, f"{blank} frames have a row, but no code", blank))
        return codes, [*problems, *frame_problems(on_disk, codes.frames)]

    def problems(self) -> list[Problem]:
        """Everything found out without decoding whole videos."""
        survey = self.survey()
        problems = [*survey.unusable, *survey.problems]
        for recording in survey.usable:
            problems += self.examine(recording)[1]
        return problems

    def _pictures(self, recording: RecordingId) -> Path:
        path = self.survey().usable[recording].pictures
        assert path is not None  # a usable recording has pictures
        return path

    def _read_codes(self, on_disk: OnDisk, coding: Coding) -> Codes:
        if on_disk.table is None:
            return read_intensities(on_disk.intensities, coding)
        if not self.any_format:
            return add_intensities(read_table(on_disk.table, coding), on_disk.intensities, coding)
        first = 1 if on_disk.first is None else on_disk.first
        media = on_disk.pictures.name if on_disk.pictures is not None else ""
        person = on_disk.recording.subject

        pictures = on_disk.pictures
        clock = None if pictures is None else functools.partial(frame_clock, pictures, self._fps)
        return read_codes(on_disk.table, coding, first=first, clock=clock, media=media, person=person)

    def _flaw(self, table: Path, person: str) -> str:
        """Why a file holds no codes of AUs, or ""; it may be a transcript, or notes."""
        try:
            if kind_of(table) == FRAME_TABLE:
                parse_table(table, dataclasses.replace(self.coding, unmarked=OCCURRENCE, undecided=True))
            else:
                read_events(table, self.coding, person=person)
        except DataError as error:
            return str(error)
        return ""

    def _with_codes(self, tables: Sequence[Path], tree: Tree, person: str) -> list[Path]:
        """Of several files of a recording's name those that hold codes of AUs; the others are told."""
        if len(tables) < 2:
            return list(tables)
        flaws = {table: self._flaw(table, person) for table in tables}
        if all(flaws.values()):
            return list(tables[:1])  # reading it will say what is wrong
        for table, flaw in flaws.items():
            if flaw:
                tree.problems.append(Problem("file without use", str(table), flaw))
        return [table for table in tables if not flaws[table]]

    def _coded_frames(self, folder: Path, codes: Codes) -> Iterator["VideoFrame"]:
        """The frames of a folder from the first to the last coded one: BP4D has more pictures outside than inside."""
        from au_jax.faces.decoding import read_folder

        return read_folder(folder, self._fps, self._rotate, between=(int(codes.frames[0]), int(codes.frames[-1])))


def frame_clock(pictures: Path, fps: float) -> FrameClock:
    """Frames and times of a video or a folder of frames.

    Args:
      pictures: video or folder; fps: frames a second in a folder.

    Raises:
      DataError: it cannot be opened, or has no frames.

    Example:
      >>> import tempfile
      >>> frames = Path(tempfile.mkdtemp())
      >>> for number in (5, 6, 8):
      ...     _ = (frames / f"{number}.png").write_bytes(b"")
      >>> clock = frame_clock(frames, fps=25)
      >>> clock.numbers.tolist(), clock.times.tolist()
      ([5, 6, 8], [0.0, 0.04, 0.12])
    """
    status = pictures.stat()
    return _frame_clock(pictures, fps, status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=256)
def _frame_clock(pictures: Path, fps: float, *_: int) -> FrameClock:
    from au_jax.faces.frame_folder import frame_files
    from au_jax.faces.packet_times import packet_times

    if pictures.is_dir():
        numbers = np.array(list(frame_files(pictures)), np.int32)
        return FrameClock(numbers, (numbers - numbers[0]) / fps)
    times, start = packet_times(pictures)
    return FrameClock(np.arange(1, len(times) + 1, dtype=np.int32), times, start)


def parse_columns(text: str, aus: Sequence[int]) -> dict[int, str]:
    """Parses `config.data.columns`.

    Args:
      text: AUs, "frame" or "time", with the names of their columns.
      aus: AUs that may be named.

    Returns:
      AU, FRAME or TIME -> the column's name in lower case.

    Raises:
      ConfigError: a part has another form, names another AU, or comes twice.

    Example:
      >>> parse_columns("1=Brow_In, AU12=smile, frame=picture", (1, 12))
      {1: 'brow_in', 12: 'smile', 0: 'picture'}
    """
    columns: dict[int, str] = {}
    for part in (part.strip() for part in text.lower().split(",") if part.strip()):
        key, _, name = (piece.strip() for piece in part.partition("="))
        number = key.removeprefix("au")
        au = {"frame": FRAME, "time": TIME}.get(key, int(number) if number.isdecimal() else -2)
        if (number.isdecimal() and au not in aus) or au < TIME or not name or au in columns or name in columns.values():
            raise ConfigError(
                f"config.data.columns has {part!r}; write AU=column as in '1=brow_in, 12=smile', each AU once, of those of "
                f"config.data.aus ({listed(aus)})"
            )
        columns[au] = name
    return columns


def coded_faces(
    frames: Iterable["VideoFrame"],
    codes: Codes,
    size: int,
    place: Path,
    person: str | Box = "largest",
    landmarks: str = "dlib",
) -> Iterator[Faces]:
    """Registers the frames from the first to the last coded one; decoding stops behind it.

    A frame has labels 0 where it has no row of codes, cannot be read or does not show the face of the person who is meant.

    Args:
      frames: of a recording in order of number.
      codes: their codes.
      size: side of a registered face in pixels.
      place: video or folder, for messages.
      person: whom the codes mean, as `faces.person.parse_person` has it.
      landmarks: by which faces are registered, of `faces.backends.BACKENDS`.

    Yields:
      Faces of up to 64 frames; the last has the problems met.

    Raises:
      DataError: no frame has codes.

    Example:
      >>> from au_jax.faces.decoding import VideoFrame
      >>> frames = [VideoFrame(number, number / 25, np.zeros((60, 60, 3), np.uint8)) for number in (1, 2, 3)]
      >>> codes = Codes(np.array([2, 3], np.int32), np.array([[1], [-1]], np.int8), aus=(12,))
      >>> faces = list(coded_faces(frames, codes, 40, Path("clip")))[-1]
      >>> faces.frame_numbers.tolist(), faces.labels.tolist()  # a black picture shows no face
      ([2, 3], [[0], [0]])
    """
    from au_jax.faces.absence import OTHER, count_reasons
    from au_jax.faces.backends import make_tracker
    from au_jax.faces.face_doubts import FaceDoubts
    from au_jax.faces.tracking import register_pictures

    doubts = FaceDoubts(landmarks)
    reasons: Counter[str] = Counter()
    together = 0
    first, last = codes.frames[0], codes.frames[-1]
    unreadable: list[int] = []

    def coded() -> Iterator["VideoFrame"]:
        for frame in frames:
            if frame.number >= first:
                if frame.image is None:
                    unreadable.append(frame.number)
                yield frame
            if frame.number >= last:
                return

    numbers: list[int] = []
    undetected: list[int] = []
    chunk: list[RegisteredFace] = []
    for face in register_pictures(coded(), size, make_tracker(landmarks, person, alone=True)):
        if len(chunk) == _CHUNK:
            yield _with_labels(chunk, codes)
            chunk = []
        doubts.look(face.picture, face.face)
        together = max(together, 0 if face.face is None else face.face.seen)
        # Whole frames of a chunk would fill the memory.
        chunk.append(dataclasses.replace(face, picture=None))
        numbers.append(face.number)
        if face.face is None:
            undetected.append(face.number)
            reasons.update([face.reason] if face.reason else [])
    lacking = np.setdiff1d(codes.frames, numbers)
    if len(lacking) == len(codes.frames):
        raise DataError(f"{place} has none of the frames {spans(codes.frames)} that have codes; mend their numbers")
    why = f" ({count_reasons(reasons)})" if reasons else ""
    problems = (
        ("label without frame", "have codes, but there is no such frame", lacking),
        ("unreadable frame", "cannot be read", np.array(unreadable, int)),
        ("frame without face", f"show no face that was found{why}", np.setdiff1d(undetected, unreadable)),
    )
    faces = _with_labels(chunk, codes)
    yield dataclasses.replace(
        faces,
        problems=(
            *(Problem("doubtful faces", str(place), line) for line in doubts.lines()),
            *_several_people(str(place), together, reasons[OTHER], person),
            *(
                Problem(kind, str(place), f"frames {spans(which)} {text}", len(which))
                for kind, text, which in problems
                if len(which)
            ),
        ),
    )


def _several_people(place: str, together: int, others: int, person: str | Box) -> Iterator[Problem]:
    meant = f"the {person} one at first" if person in ("largest", "left", "right") else "the one in the box"
    if together > 1 and person != "anyone":
        text = f"up to {together} faces in a frame; the codes are taken for those of {meant} (config.data.person)"
        yield Problem("several people", place, text)
    if others:
        text = (
            f"{others} frames show somebody who does not look like {meant}, and have no labels; if that is the same person, "
            "give --config.data.person=anyone, which does not compare faces"
        )
        yield Problem("somebody else", place, text, others)


def _with_labels(faces: list["RegisteredFace"], codes: Codes) -> Faces:
    numbers = np.array([face.number for face in faces], np.int32)
    detected = np.array([face.face is not None for face in faces])
    rows = np.minimum(np.searchsorted(codes.frames, numbers), len(codes.frames) - 1)
    coded = detected & (codes.frames[rows] == numbers)
    intensities = known_intensities(codes)
    return Faces(
        intensities=None if intensities is None else np.where(coded[:, None], intensities[rows], np.int8(-1)),
        images=np.stack([face.image for face in faces]),
        labels=np.where(coded[:, None], codes.labels[rows], np.int8(MISSING)),
        landmarks=np.stack([face.landmarks for face in faces]).astype(np.float32),
        frame_numbers=numbers,
        face_detected=detected,
        confidence=np.array([0.0 if face.face is None else face.face.confidence for face in faces], np.float32),
    )
