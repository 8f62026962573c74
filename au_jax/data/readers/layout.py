"""What lies in a folder of raw recordings: its entries, and the files that belong to one recording."""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from au_jax.data.recordings import Problem, RecordingId
from au_jax.faces.frame_folder import PICTURE_SUFFIXES as PICTURE_SUFFIXES

VIDEO_SUFFIXES = (
    ".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".mts", ".m2ts", ".wmv", ".dv",
)  # fmt: skip


@dataclass(frozen=True)
class OnDisk:
    """The files of one recording; it can be used where it has pictures and codes, and no flaw.

    Attributes:
      pictures: a video or a folder of frames.
      table: codes of all AUs, or events.
      intensities: AU -> its own file of intensities, in place of a table or beside one of occurrence.
      lacks: what is missing where there are no pictures or no codes, for messages.
      flaw: why it cannot be used, with the path; "" where nothing speaks against it.
      length: frames of a video by its header, which may err; None where it does not say.
      first: number of the first frame; None: not looked at yet.
      notes: what should be known of how the pictures are read.

    Example:
      >>> clip = OnDisk(RecordingId("anna", "clip"), pictures=Path("anna/clip.mp4"), intensities={12: Path("anna/au12.txt")})
      >>> clip.place.name, clip.codes_path.name, clip.flaw
      ('clip.mp4', 'au12.txt', '')
    """

    recording: RecordingId
    pictures: Path | None = None
    table: Path | None = None
    intensities: Mapping[int, Path] = field(default_factory=dict)
    lacks: str = ""
    flaw: str = ""
    length: int | None = None
    first: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def codes_path(self) -> Path | None:
        """The table, or one of the files of intensities."""
        return self.table or next(iter(self.intensities.values()), None)

    @property
    def place(self) -> Path:
        """What there is of it: its pictures, else its codes."""
        place = self.pictures or self.codes_path
        assert place is not None  # found by one of them
        return place


class Tree:
    """The root of raw recordings: lists folders without hidden entries, and never leaves the root.

    Attributes:
      problems: what was refused or left aside.

    Example:
      >>> import tempfile
      >>> root = Path(tempfile.mkdtemp())
      >>> (root / "anna").mkdir()
      >>> _ = (root / "anna" / "1.png").write_bytes(b""), (root / ".hidden").write_bytes(b"")
      >>> tree = Tree(root)
      >>> [path.name for path in tree.folders(root)], [path.name for path in tree.files(root)], tree.has_pictures(root / "anna")
      (['anna'], ['1.png'], True)
    """

    def __init__(self, root: Path):
        self.root = root
        self.problems: list[Problem] = []
        self._resolved = root.resolve()

    def entries(self, folder: Path) -> list[os.DirEntry]:
        """Entries in order of name; hidden ones and links that lead out of the root are left out."""
        with os.scandir(folder) as entries:
            kept = [entry for entry in entries if not entry.name.startswith(".") and self._is_inside(entry)]
        return sorted(kept, key=lambda entry: natural(entry.name))

    def folders(self, folder: Path) -> list[Path]:
        """The folders in a folder."""
        return [Path(entry.path) for entry in self.entries(folder) if entry.is_dir()]

    def files(self, folder: Path) -> Iterator[Path]:
        """All files below a folder; linked folders are not entered, as what they link to is below the root anyway."""
        for entry in self.entries(folder):
            if entry.is_dir(follow_symlinks=False):
                yield from self.files(Path(entry.path))
            elif entry.is_file():
                yield Path(entry.path)

    def has_pictures(self, folder: Path) -> bool:
        """Whether a folder holds any picture; stops at the first."""
        with os.scandir(folder) as entries:
            return any(is_picture(entry.name) for entry in entries)

    def links_out(self, folder: Path) -> bool:
        """Whether an entry of a folder is a link that leads out of the root."""
        with os.scandir(folder) as entries:
            return not all([self._is_inside(entry) for entry in entries])

    def _is_inside(self, entry: os.DirEntry) -> bool:
        if not entry.is_symlink() or Path(entry.path).resolve().is_relative_to(self._resolved):
            return True
        text = "the link leads out of the folder of recordings and is not followed"
        self.problems.append(Problem("link that leads out", entry.path, text))
        return False


def is_video(name: str) -> bool:
    """Whether a file is a video by its name.

    Example:
      >>> [is_video(name) for name in ("clip.MP4", "clip.csv")]
      [True, False]
    """
    return name.lower().endswith(VIDEO_SUFFIXES)


def is_picture(name: str) -> bool:
    """Whether a file is a picture by its name.

    Example:
      >>> [is_picture(name) for name in ("0001.JPG", ".hidden.png", "clip.mp4")]
      [True, False, False]
    """
    return name.lower().endswith(PICTURE_SUFFIXES) and not name.startswith(".")


def natural(name: str) -> list[tuple[int, str]]:
    """Key that sorts names with their numbers as numbers: T2 before T10.

    Example:
      >>> sorted(["T10", "T2", "T1"], key=natural)
      ['T1', 'T2', 'T10']
    """
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"([0-9]+)", name)]
