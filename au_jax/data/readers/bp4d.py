"""BP4D and BP4D+: frames in `<subject>/<task>/<frame>.jpg`, codes in `AU_OCC/<subject>_<task>.csv` (level A and above).

At other levels the codes are those of `AU_INT/AU06/<subject>_<task>_AU06.csv`, which there are of AUs 6, 10, 12, 14 and 17.
"""

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

from au_jax.config import DataConfig
from au_jax.data.annotations.columns import OCCURRENCE
from au_jax.data.readers.base import RawReader
from au_jax.data.readers.layout import OnDisk, Tree
from au_jax.data.recordings import Problem, RecordingId
from au_jax.errors import DataError

_SUBJECT = re.compile(r"[FM][0-9]{3}", re.IGNORECASE)
_TASK = re.compile(r"T[0-9]+", re.IGNORECASE)
_TABLE = re.compile(r"([FM][0-9]{3})_(T[0-9]+)(?:_AU[0-9]+)?\.csv", re.IGNORECASE)
_AU_FOLDER = re.compile(r"AU0*([0-9]+)", re.IGNORECASE)
_DEPTH = 2  # folders between the root and the subjects


class Bp4dReader(RawReader):
    """Sequences of frames of a subject in a task; subjects and labels lie at the root or one or two folders below.

    Example:
      >>> import tempfile
      >>> root = Path(tempfile.mkdtemp())
      >>> _ = (root / "F001" / "T1").mkdir(parents=True), (root / "AU_OCC").mkdir()
      >>> _ = (root / "AU_OCC" / "F001_T1.csv").write_text("0,12\\n1,1\\n")
      >>> [found.recording for found in Bp4dReader(DataConfig(raw=str(root), aus=(12,))).find(Tree(root))]
      [RecordingId(subject='F001', video='T1')]
    """

    source = "bp4d"
    layout = "F001/T1/<frame>.jpg and AU_OCC/F001_T1.csv, each up to two folders deeper"

    def __init__(self, data: DataConfig):
        super().__init__(data)
        # The header is 0,1,2,...,99: the frame number, then the AUs.
        self.coding = dataclasses.replace(
            self.coding, unmarked=OCCURRENCE, preferred=OCCURRENCE, columns={}, frame=("0", "frame")
        )
        self._occurrence = self.level == self.default_level

    def reading(self) -> str:
        """Which codes are read, in one line."""
        if self._occurrence:
            return "AU_OCC: occurrence at level A and above"
        return f"AU_INT: intensities, present from level {self.level}; AUs without intensities are missing"

    def find(self, tree: Tree) -> Iterator[OnDisk]:
        """Yields every subject's tasks."""
        frames: dict[tuple[str, str], list[Path]] = {}
        labels: list[Path] = []
        wanted = "AU_OCC" if self._occurrence else "AU_INT"
        for folder in _containers(tree, tree.root, _DEPTH):
            for path in tree.folders(folder):
                if _SUBJECT.fullmatch(path.name):
                    for task in tree.folders(path):
                        if _TASK.fullmatch(task.name):
                            frames.setdefault((path.name.upper(), task.name.upper()), []).append(task)
                elif path.name.upper() == wanted:
                    labels.append(path)
        if not frames and not labels:
            return
        if len(labels) != 1:
            which = f"two folders {wanted}: {labels[0]} and {labels[1]}" if labels else f"no folder {wanted}"
            raise DataError(f"{tree.root} has {which}; there must be one, at the root or up to two folders below")
        files = self._label_files(tree, labels[0])
        for key in frames.keys() | files.keys():
            subject, task = key
            with_pictures = [path for path in frames.get(key, []) if tree.has_pictures(path)]
            places = with_pictures or frames.get(key, [])
            codes = files.get(key, {})
            yield OnDisk(
                RecordingId(subject, task),
                pictures=places[0] if places else None,
                table=codes.get(0),
                intensities={au: path for au, path in codes.items() if au},
                lacks=f"folder of frames {subject}/{task}" if not places else f"{subject}_{task}.csv in {labels[0]}",
                flaw=f"{places[0]} and {places[1]} are both {subject}/{task}; remove one" if len(places) > 1 else "",
            )

    def _label_files(self, tree: Tree, folder: Path) -> dict[tuple[str, str], dict[int, Path]]:
        """(subject, task) -> AU, or 0 for all AUs -> file."""
        if self._occurrence:
            folders = {0: folder}
        else:
            matches = [(_AU_FOLDER.fullmatch(path.name), path) for path in tree.folders(folder)]
            folders = {int(match[1]): path for match, path in matches if match}
        files: dict[tuple[str, str], dict[int, Path]] = {}
        for au, place in folders.items():
            for entry in tree.entries(place):
                match = _TABLE.fullmatch(entry.name)
                if match is None:
                    text = "its name is not that of a subject's task, such as F001_T1.csv"
                    tree.problems.append(Problem("file without use", entry.path, text))
                    continue
                of_task = files.setdefault((match[1].upper(), match[2].upper()), {})
                if au in of_task:
                    raise DataError(f"{of_task[au]} and {entry.path} are codes of the same task; remove one")
                of_task[au] = Path(entry.path)
        return files


def _containers(tree: Tree, folder: Path, depth: int) -> Iterator[Path]:
    """A folder and those below it down to a depth, without subjects and labels."""
    yield folder
    if depth:
        for path in tree.folders(folder):
            if not _SUBJECT.fullmatch(path.name) and path.name.upper() not in ("AU_OCC", "AU_INT"):
                yield from _containers(tree, path, depth - 1)
