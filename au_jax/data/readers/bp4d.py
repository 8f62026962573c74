"""BP4D and BP4D+: frames in `<subject>/<task>/<frame>.jpg`, codes in `AU_OCC/<subject>_<task>.csv` (level A and above).

Intensities are those of `AU_INT/AU06/<subject>_<task>_AU06.csv`, which there are of AUs 6, 10, 12, 14 and 17. At other levels
than A they are the only codes.
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
_OCC, _INT = "AU_OCC", "AU_INT"
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
            graded = any(found.intensities for found in self.survey().usable.values())
            return "AU_OCC: occurrence at level A and above" + (", and the intensities of AU_INT" if graded else "")
        return f"AU_INT: intensities, present from level {self.level}; AUs without intensities are missing"

    def find(self, tree: Tree) -> Iterator[OnDisk]:
        """Yields every subject's tasks."""
        frames: dict[tuple[str, str], list[Path]] = {}
        folders: dict[str, list[Path]] = {_OCC: [], _INT: []}
        for folder in _containers(tree, tree.root, _DEPTH):
            for path in tree.folders(folder):
                if _SUBJECT.fullmatch(path.name):
                    for task in tree.folders(path):
                        if _TASK.fullmatch(task.name):
                            frames.setdefault((path.name.upper(), task.name.upper()), []).append(task)
                elif path.name.upper() in folders:
                    folders[path.name.upper()].append(path)
        wanted = _OCC if self._occurrence else _INT
        if not frames and not folders[wanted]:
            return
        for name, found in folders.items():
            if (name == wanted and not found) or (len(found) > 1 and (self._occurrence or name == wanted)):
                which = f"two folders {name}: {found[0]} and {found[1]}" if found else f"no folder {name}"
                raise DataError(f"{tree.root} has {which}; there must be one, at the root or up to two folders below")
        occurrences = _label_files(tree, {0: folders[_OCC][0]}) if self._occurrence else {}
        intensities = _label_files(tree, _au_folders(tree, folders[_INT][0])) if folders[_INT] else {}
        codes = occurrences if self._occurrence else intensities
        for key in intensities.keys() - codes.keys():
            for path in intensities[key].values():
                text = f"there is no occurrence of {'/'.join(key)} in {folders[_OCC][0]}"
                tree.problems.append(Problem("file without use", str(path), text))
        for key in frames.keys() | codes.keys():
            subject, task = key
            with_pictures = [path for path in frames.get(key, []) if tree.has_pictures(path)]
            places = with_pictures or frames.get(key, [])
            table = occurrences.get(key, {}).get(0)
            lacking = f"{subject}_{task}.csv in {folders[wanted][0]}"
            yield OnDisk(
                RecordingId(subject, task),
                pictures=places[0] if places else None,
                table=table,
                intensities=intensities.get(key, {}) if key in codes else {},
                lacks=f"folder of frames {subject}/{task}" if not places else lacking,
                flaw=f"{places[0]} and {places[1]} are both {subject}/{task}; remove one" if len(places) > 1 else "",
            )


def _au_folders(tree: Tree, folder: Path) -> dict[int, Path]:
    """AU -> its folder of intensities."""
    matches = [(_AU_FOLDER.fullmatch(path.name), path) for path in tree.folders(folder)]
    return {int(match[1]): path for match, path in matches if match}


def _label_files(tree: Tree, folders: dict[int, Path]) -> dict[tuple[str, str], dict[int, Path]]:
    """(subject, task) -> AU, or 0 for all AUs -> file."""
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
            if not _SUBJECT.fullmatch(path.name) and path.name.upper() not in (_OCC, _INT):
                yield from _containers(tree, path, depth - 1)
