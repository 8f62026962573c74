"""Anybody's own recordings: `<subject>/<video>.mp4` or `<subject>/<video>/<frame>.jpg`, and a label file of the same name.

The label file may be of any kind that `annotations.label_file` knows (.csv, .tsv, .txt, .eaf, .TextGrid, .boris, .opf); one a
recording. A BORIS project beside the videos holds the codes of all that have no file of their own.
"""

from collections.abc import Iterator
from pathlib import Path

from au_jax.data.annotations.label_file import is_label_file, label_stem
from au_jax.data.readers.base import RawReader
from au_jax.data.readers.layout import OnDisk, Tree, is_video
from au_jax.data.recordings import Problem, RecordingId, safe_name
from au_jax.errors import DataError


class FolderReader(RawReader):
    """Videos or folders of frames with a table each, in a folder for each subject.

    Example:
      >>> import tempfile
      >>> from pathlib import Path
      >>> from PIL import Image
      >>> from au_jax.config import DataConfig
      >>> clip = Path(tempfile.mkdtemp()) / "anna" / "clip"
      >>> clip.mkdir(parents=True)
      >>> Image.new("RGB", (16, 12)).save(clip / "1.png")
      >>> _ = clip.with_suffix(".csv").write_text("frame,AU05\\n1,1\\n")
      >>> data = DataConfig(raw=str(clip.parents[1]), aus=(5, 12), image_size=200)
      >>> reader = FolderReader(data)
      >>> reader.name, reader.recordings(), reader.codes(reader.recordings()[0]).labels.tolist()
      ('folder_aus5_12_200px', [RecordingId(subject='anna', video='clip')], [[1, 0]])
    """

    source = "folder"
    layout = "<subject>/<video>.mp4 (avi, mov, mkv) or <subject>/<video>/<frame>.jpg (png), and <subject>/<video>.csv (eaf, ...)"
    any_format = True

    def find(self, tree: Tree) -> Iterator[OnDisk]:
        """Yields the recordings of every subject."""
        subjects: dict[str, str] = {}
        for entry in tree.entries(tree.root):
            if not entry.is_dir():
                tree.problems.append(Problem("file without use", entry.path, "lies in no subject's folder"))
                continue
            recordings = list(self._of_subject(tree, Path(entry.path)))
            # Two people under one name would let a fold test on faces that it was trained on.
            other = subjects.setdefault(safe_name(entry.name), entry.path)
            if recordings and other != entry.path:
                raise DataError(f"{other} and {entry.path} would both be subject {safe_name(entry.name)}; rename one")
            if not recordings:
                text = "has no video and no table"
                if tree.has_pictures(Path(entry.path)):
                    text += "; its pictures belong in a folder for each video, <subject>/<video>/<frame>.jpg"
                tree.problems.append(Problem("folder without recordings", entry.path, text))
            yield from recordings

    def _of_subject(self, tree: Tree, subject: Path) -> Iterator[OnDisk]:
        tables: dict[str, list[Path]] = {}
        pictures: list[tuple[str, Path]] = []
        for entry in tree.entries(subject):
            path = Path(entry.path)
            if entry.is_dir():
                if tree.has_pictures(path):
                    pictures.append((path.name, path))
            elif is_video(path.name):
                pictures.append((path.stem, path))
            elif is_label_file(path.name):
                tables.setdefault(label_stem(path.name), []).append(path)
        names = dict(pictures)
        projects = [path for name, paths in tables.items() if name not in names for path in paths if _is_project(path)]
        for name, path in pictures:
            own = self._with_codes(tables.get(name, []), tree, safe_name(subject.name)) or projects
            flaw = ""
            if len(own) > 1:
                flaw = f"{path} has two label files, {own[0].name} and {own[1].name}; keep the one that counts"
            recording = RecordingId(safe_name(subject.name), safe_name(name))
            table = own[0] if own else None
            yield OnDisk(
                recording, path, table, lacks=f"table {name}.csv beside it, nor a label file of another kind", flaw=flaw
            )
        for name in tables.keys() - names:
            for path in tables[name]:
                if path in projects and pictures:
                    continue
                if path.suffix.lower() == ".txt":  # notes may lie there as well
                    tree.problems.append(
                        Problem("file without use", str(path), "has no video or folder of frames of its name")
                    )
                    continue
                recording = RecordingId(safe_name(subject.name), safe_name(name))
                yield OnDisk(recording, table=path, lacks=f"video or folder of frames {name} beside it")


def _is_project(path: Path) -> bool:
    return path.name.lower().endswith((".boris", ".boris.gz"))
