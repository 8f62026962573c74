"""GFT: a video and a label file for every participant, matched by name, anywhere below the root.

The names of the public release's columns are not known to us: usual ones are understood, others are named in
`config.data.columns`. Label files may be of any kind that `annotations.label_file` knows.
"""

from collections.abc import Iterator
from pathlib import Path

from au_jax.data.annotations.label_file import is_label_file, label_stem
from au_jax.data.readers.base import RawReader
from au_jax.data.readers.layout import OnDisk, Tree, is_video
from au_jax.data.recordings import Problem, RecordingId, safe_name


class GftReader(RawReader):
    """A video of every participant, whose name is the video's; level B and above is present.

    Example:
      >>> import tempfile
      >>> from pathlib import Path
      >>> from au_jax.config import DataConfig
      >>> root = Path(tempfile.mkdtemp())
      >>> _ = (root / "001A.mp4").write_bytes(b""), (root / "001A.csv").write_text("frame,AU12\\n1,3\\n")
      >>> [(found.recording.subject, found.table.name) for found in GftReader(DataConfig(raw=str(root))).find(Tree(root))]
      [('001A', '001A.csv')]
    """

    source = "gft"
    default_level = "B"
    layout = (
        "for every participant a video and a CSV (or other label file) of the same name, or one name within the other"
    )
    any_format = True

    def find(self, tree: Tree) -> Iterator[OnDisk]:
        """Yields every participant's video."""
        files = list(tree.files(tree.root))
        videos = [path for path in files if is_video(path.name)]
        tables = [path for path in files if is_label_file(path.name)]
        names = {path.stem.lower() for path in videos}
        chosen = {
            video: self._with_codes(_fitting(video, tables, names), tree, safe_name(video.stem)) for video in videos
        }
        for video, fitting in chosen.items():
            others = [other for other in videos if other != video and fitting and chosen[other][:1] == fitting[:1]]
            flaw = ""
            if len(fitting) > 1:
                flaw = f"{fitting[0]} and {fitting[1]} both fit {video}; give the table the video's name"
            elif others:
                flaw = f"{fitting[0]} fits {video} and {others[0]}; give every table its video's name"
            table = fitting[0] if fitting else None
            lacks = f"CSV called {video.stem}.csv"
            yield OnDisk(RecordingId(safe_name(video.stem), "video"), video, table, lacks=lacks, flaw=flaw)
        taken = {table for video in videos for table in _fitting(video, tables, names)}
        for table in tables:
            if table not in taken and self._has_codes(table, tree):
                lacks = f"video called {label_stem(table.name)}.mp4 (avi, mov, mkv)"
                yield OnDisk(RecordingId(safe_name(label_stem(table.name)), "video"), table=table, lacks=lacks)

    def _has_codes(self, table: Path, tree: Tree) -> bool:
        """Whether a table without a video is one of codes; there may be others among the participants' files."""
        if flaw := self._flaw(table, label_stem(table.name)):
            tree.problems.append(Problem("file without use", str(table), f"belongs to no video, and {flaw}"))
        return not flaw


def _fitting(video: Path, tables: list[Path], videos: set[str]) -> list[Path]:
    """The tables of a video's name; where there is none, those whose name holds the video's or lies within it.

    Args:
      videos: names of all videos: a table of another video's name is that one's.
    """
    name = video.stem.lower()
    stems = {table: label_stem(table.name).lower() for table in tables}
    if same := [table for table in tables if stems[table] == name]:
        return same
    others = [table for table in tables if stems[table] not in videos]
    return [table for table in others if name in stems[table] or stems[table] in name]
