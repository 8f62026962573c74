"""DISFA: `LeftVideoSN001_comp.avi` with `ActionUnit_Labels/SN001/SN001_au1.txt`, lines `frame,intensity`, frames from 1."""

import re
from collections.abc import Iterator
from pathlib import Path

from au_jax.data.readers.base import RawReader
from au_jax.data.readers.layout import OnDisk, Tree, is_video
from au_jax.data.recordings import Problem, RecordingId

_VIDEO = re.compile(r"(left|right)video(sn[0-9]{3}).*", re.IGNORECASE)
_LABELS = re.compile(r"(sn[0-9]{3})_au0*([0-9]+)\.txt", re.IGNORECASE)


class DisfaReader(RawReader):
    """A video of every subject, that of the left camera where it is there; files may lie anywhere below the root.

    Example:
      >>> import tempfile
      >>> from au_jax.config import DataConfig
      >>> root = Path(tempfile.mkdtemp())
      >>> _ = (root / "LeftVideoSN001_comp.avi").write_bytes(b""), (root / "SN001_au12.txt").write_text("1,3\\n")
      >>> [(found.recording.subject, [*found.intensities]) for found in DisfaReader(DataConfig(raw=str(root))).find(Tree(root))]
      [('SN001', [12])]
    """

    source = "disfa"
    # Most published work counts an intensity of 2 and above as present.
    default_level = "B"
    layout = "LeftVideoSN001_comp.avi and ActionUnit_Labels/SN001/SN001_au1.txt"

    def reading(self) -> str:
        """Which codes are read, in one line."""
        return f"intensities, present from level {self.level}"

    def find(self, tree: Tree) -> Iterator[OnDisk]:
        """Yields every subject's video."""
        videos: dict[str, dict[str, list[Path]]] = {}
        labels: dict[str, dict[int, list[Path]]] = {}
        for path in tree.files(tree.root):
            if (match := _VIDEO.fullmatch(path.name)) and is_video(path.name):
                videos.setdefault(match[2].upper(), {}).setdefault(match[1].lower(), []).append(path)
            elif match := _LABELS.fullmatch(path.name):
                labels.setdefault(match[1].upper(), {}).setdefault(int(match[2]), []).append(path)
        for subject in videos.keys() | labels.keys():
            sides, codes = videos.get(subject, {}), labels.get(subject, {})
            side = "left" if "left" in sides or not sides else "right"
            chosen = sides.get(side, [])
            if side == "right":
                text = f"{subject} has no video of the left camera; that of the right one is used"
                tree.problems.append(Problem("right camera", str(chosen[0]), text))
            doubled = next((paths for paths in (chosen, *codes.values()) if len(paths) > 1), None)
            yield OnDisk(
                RecordingId(subject, side),
                pictures=chosen[0] if chosen else None,
                intensities={au: paths[0] for au, paths in sorted(codes.items())},
                lacks=f"{subject}_au1.txt" if chosen else f"LeftVideo{subject}_comp.avi",
                flaw=f"{doubled[0]} and {doubled[1]} are two of the same; remove one" if doubled else "",
            )
