"""GFT: a video and a table of frame annotations for every participant, matched by name, anywhere below the root.

The names of the public release's columns are not known to us: usual ones are understood, others are named in
`config.data.columns`.
"""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

from au_jax.data.annotations.table import OCCURRENCE, read_table
from au_jax.data.readers.base import RawReader
from au_jax.data.readers.layout import OnDisk, Tree, is_video
from au_jax.data.recordings import Problem, RecordingId, safe_name
from au_jax.errors import DataError


class GftReader(RawReader):
    """A video of every participant, whose name is the video's; level B and above is present.

    Example: see `FolderReader`.
    """

    source = "gft"
    default_level = "B"
    layout = "for every participant a video and a CSV of the same name, or one name within the other"

    def find(self, tree: Tree) -> Iterator[OnDisk]:
        """Yields every participant's video."""
        files = list(tree.files(tree.root))
        videos = [path for path in files if is_video(path.name)]
        tables = [path for path in files if path.suffix.lower() == ".csv"]
        names = {path.stem.lower() for path in videos}
        chosen = {video: _fitting(video, tables, names) for video in videos}
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
        taken = {table for fitting in chosen.values() for table in fitting}
        for table in tables:
            if table not in taken and self._has_codes(table, tree):
                lacks = f"video called {table.stem}.mp4 (avi, mov, mkv)"
                yield OnDisk(RecordingId(safe_name(table.stem), "video"), table=table, lacks=lacks)

    def _has_codes(self, table: Path, tree: Tree) -> bool:
        """Whether a table without a video is one of codes; there may be others among the participants' files."""
        try:
            read_table(table, dataclasses.replace(self.coding, unmarked=OCCURRENCE))
        except DataError as error:
            tree.problems.append(Problem("file without use", str(table), f"belongs to no video, and {error}"))
            return False
        return True


def _fitting(video: Path, tables: list[Path], videos: set[str]) -> list[Path]:
    """The tables of a video's name; where there is none, those whose name holds the video's or lies within it.

    Args:
      videos: names of all videos: a table of another video's name is that one's.
    """
    name = video.stem.lower()
    if same := [table for table in tables if table.stem.lower() == name]:
        return same
    others = [table for table in tables if table.stem.lower() not in videos]
    return [table for table in others if name in table.stem.lower() or table.stem.lower() in name]
