"""Many videos with one command: which they are, which are done already, and a table of how each of them went.

The account of what was done lies in the output folder. A video whose files and settings are as they were is not scored again,
so that an interrupted command goes on with the next; a video that fails is told and does not end the others.
"""

import csv
import io
import os
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from au_jax import console, files
from au_jax.data.readers.layout import is_picture, is_video, natural
from au_jax.errors import CommandError, DataError, UserError
from au_jax.faces.tracking import RegisteredFace
from au_jax.inference.writers import Detections

ACCOUNT = "predicted.json"
"""File of the output folder that tells what was done, with which settings."""

SUMMARY = "summary.csv"
"""The table of all videos in the output folder."""

INDEX = "index.html"
"""The page of the folder of pages that leads to each of them."""

_LISTS = (".txt", ".lst")
_RESERVED = tuple(Path(name).stem for name in (ACCOUNT, SUMMARY, INDEX))


@dataclass(frozen=True)
class Job:
    """A video of many.

    Attributes:
      source: video file or folder of frames.
      name: where its outputs go, below the output folder and without a suffix.

    Example:
      >>> Job(Path("clips/anna/T1.mp4"), "anna/T1").output(Path("tables"), ".csv").as_posix()
      'tables/anna/T1.csv'
    """

    source: Path
    name: str

    def output(self, folder: Path, suffix: str) -> Path:
        """Its file in an output folder."""
        return folder / f"{self.name}{suffix}"


def find_videos(where: str) -> list[Job]:
    """The videos and folders of frames that are meant, in natural order.

    Args:
      where: a folder, which is searched with all below it; a text file (.txt, .lst) with a path a line, relative to its own
        folder, # before a comment; or paths with commas between.

    Returns:
      Jobs with different names. Paths of a list are not looked at: what is missing fails when its turn comes.

    Raises:
      CommandError: there is no such folder or list, or nothing in it.

    Example:
      >>> import tempfile
      >>> clips = Path(tempfile.mkdtemp())
      >>> for name in ("anna/T10.mp4", "anna/T2.mp4", "T1.mp4", "T1.avi", "ben/1.png", "notes.txt"):
      ...     (clips / name).parent.mkdir(exist_ok=True)
      ...     (clips / name).touch()
      >>> [job.name for job in find_videos(str(clips))]
      ['T1_avi', 'T1_mp4', 'anna/T2', 'anna/T10', 'ben']
    """
    place = Path(where)
    if place.is_dir():
        sources, root = _below(place), place
    else:
        if place.suffix.lower() in _LISTS:
            try:
                lines = place.read_text(encoding="utf-8-sig").splitlines()
            except (OSError, UnicodeDecodeError) as error:
                raise CommandError(
                    f"--videos={where} cannot be read ({error}); name a list of paths in UTF-8"
                ) from error
            entries = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
            sources = [place.parent / entry for entry in entries]
        else:
            sources = [Path(entry.strip()) for entry in where.split(",") if entry.strip()]
        sources = list(dict.fromkeys(sources))
        root = Path(os.path.commonpath([source.absolute().parent for source in sources])) if sources else place
        sources = [source.absolute() for source in sources]
    if not sources:
        raise CommandError(f"--videos={where} names no video; give a folder of videos, a list of paths, or paths")
    plain = [_plain(source, root) for source in sources]
    # Some names are those of what is written about all videos.
    taken = [plain.count(name) + (name.lower() in _RESERVED) for name in plain]
    names = [
        name if count == 1 else f"{name}_{source.suffix.lstrip('.') or 'frames'}"
        for name, count, source in zip(plain, taken, sources, strict=True)
    ]
    for name in names:
        if names.count(name) > 1:
            raise CommandError(f"--videos={where}: two videos would be called {name}; rename one")
    return [Job(source, name) for source, name in zip(sources, names, strict=True)]


def check_apart(jobs: Sequence[Job], outputs: Iterable[Iterable[Path]]) -> None:
    """Refuses outputs that are one of the videos, lie among a video's frames or are written twice; called before any work.

    Args:
      jobs: all videos.
      outputs: all that is to be written, in groups.

    Raises:
      CommandError: names the output and what it meets.

    Example:
      >>> import tempfile
      >>> clip = Path(tempfile.mkdtemp()) / "clip.mp4"
      >>> clip.touch()
      >>> check_apart([Job(clip, "clip")], [[clip.with_suffix(".csv")]])
      >>> check_apart([Job(clip, "clip")], [[clip]])  # doctest: +ELLIPSIS
      Traceback (most recent call last):
      au_jax.errors.CommandError: .../clip.mp4 would overwrite .../clip.mp4 of --videos; choose another folder
    """
    known = {key: job.source for job in jobs if (key := _identity(job.source)) is not None}
    folders: dict[Path, list[Path]] = {}
    met: set[Path] = set()
    for output in (output for group in outputs for output in group):
        own = known.get(_identity(output) or (0, 0))
        if own is not None:
            raise CommandError(f"{output} would overwrite {own} of --videos; choose another folder")
        if output in met:
            raise CommandError(f"{output} would be written twice; choose different folders for --overlay and --page")
        met.add(output)
        if output.parent not in folders:
            real = Path(os.path.realpath(output.parent))
            above = (known.get(_identity(place) or (0, 0)) for place in (real, *real.parents))
            folders[output.parent] = [source for source in above if source is not None]
        if folders[output.parent]:
            raise CommandError(
                f"{output} lies in {folders[output.parent][0]}, which --videos reads; choose another folder"
            )


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        state = os.stat(path)
    except (OSError, ValueError):
        return None
    return state.st_dev, state.st_ino


def _below(folder: Path) -> list[Path]:
    """Videos below a folder, and folders below it that hold pictures."""
    found = []
    for place, folders, names in os.walk(folder):
        folders[:] = sorted((name for name in folders if not name.startswith(".")), key=natural)
        if Path(place) != folder and any(map(is_picture, names)):
            found.append(Path(place))
        found += [Path(place) / name for name in names if is_video(name) and not name.startswith(".")]
    return sorted(found, key=lambda path: natural(path.relative_to(folder).as_posix()))


def _plain(source: Path, root: Path) -> str:
    relative = source.relative_to(root) if source.is_relative_to(root) else Path(source.name)
    return (relative.with_suffix("") if is_video(relative.name) or not source.is_dir() else relative).as_posix()


class Tally:
    """Counts, as one of the writers of `streaming.predict`, how often each AU was present, and how long the video is.

    Example:
      >>> Tally().facts()
      {'seconds': 0.0, 'median_confidence': None}
    """

    def __init__(self):
        self._first: float | None = None
        self._last, self._faces = 0.0, 0
        self._present: dict[int, int] = {}
        self._confidences: list[np.ndarray] = []

    def write(self, detections: Detections, faces: Iterable[RegisteredFace]) -> None:
        """Takes the next frames."""
        if self._first is None:
            self._first = float(detections.timestamps[0])
        self._last = float(detections.timestamps[-1])
        self._faces += int(detections.success.sum())
        self._confidences.append(np.asarray(detections.confidence[detections.success], np.float32))
        for au, count in zip(detections.aus, detections.present.sum(0).tolist(), strict=True):
            self._present[au] = self._present.get(au, 0) + count

    def facts(self) -> dict[str, float | None]:
        """Seconds from the first frame to the last, median confidence, and AU.. -> percent of the frames with a face."""
        confidences = np.concatenate(self._confidences) if self._confidences else np.zeros(0)
        middle = round(float(np.median(confidences)), 3) if len(confidences) else None
        shares = {
            f"AU{au:02d}": round(100 * count / self._faces, 1) if self._faces else None
            for au, count in self._present.items()
        }
        return {"seconds": round(self._last - (self._first or 0.0), 3), "median_confidence": middle, **shares}

    def __enter__(self) -> "Tally":
        return self

    def __exit__(self, *_: object) -> None:
        pass


def state_of(source: Path) -> list[Any]:
    """What a video or folder of frames was like: size and time of change, by which a changed one is known.

    Example:
      >>> (folder / "clip.mp4").write_bytes(b"1234")
      4
      >>> state_of(folder / "clip.mp4")[:2], state_of(folder / "absent.mp4")
      ([1, 4], [0])
    """
    try:
        if not source.is_dir():
            found = [source.stat()]
        else:
            with os.scandir(source) as entries:
                found = [entry.stat() for entry in entries if is_picture(entry.name)]
    except OSError:
        return [0]
    return [len(found), sum(state.st_size for state in found), max((state.st_mtime_ns for state in found), default=0)]


def run_all(
    jobs: Sequence[Job],
    folder: Path,
    settings: Mapping[str, Any],
    outputs: Callable[[Job], Iterable[Path]],
    score: Callable[[Job], dict[str, Any]],
    also: Callable[[list[dict[str, Any]]], None] = lambda rows: None,
) -> list[dict[str, Any]]:
    """Scores the videos one after the other, and keeps account; what is done already is passed over.

    Args:
      jobs: all videos.
      folder: of the outputs; the account and the summary are written there after every video.
      settings: all that decides a result but the video, as JSON.
      outputs: the files of a job.
      score: makes them, and returns facts for the summary.
      also: takes the rows so far whenever the summary is written.

    Returns:
      A row for each job: video, state ("done", "done before" or "failed"), its facts, and why it failed.

    Raises:
      DataError: the account is of something else.
      KeyboardInterrupt: after the account has been written.

    Example:
      >>> import tempfile
      >>> place = Path(tempfile.mkdtemp())
      >>> _ = (place / "a.mp4").write_bytes(b"a"), (place / "b.mp4").write_bytes(b"b")
      >>> def score(job):
      ...     if job.name == "b":
      ...         raise UserError("b.mp4 is damaged; copy it again")
      ...     job.output(place / "out", ".csv").write_text("a table")
      ...     return {"frames": 7}
      >>> (place / "out").mkdir()
      >>> def again():
      ...     jobs, out = find_videos(str(place)), place / "out"
      ...     rows = run_all(jobs, out, {"fps": 25}, lambda job: [job.output(out, ".csv")], score)
      ...     return [(row["video"], row["state"]) for row in rows]
      >>> again()  # doctest: +ELLIPSIS
      1 of 2: ...
      2 of 2: ...
      failed: b.mp4 is damaged; copy it again
      [('a', 'done'), ('b', 'failed')]
      >>> again()  # doctest: +ELLIPSIS
      2 of 2: ...
      failed: b.mp4 is damaged; copy it again
      [('a', 'done before'), ('b', 'failed')]
    """
    path = folder / ACCOUNT
    account: dict[str, Any] = files.read_json(path) if path.exists() else {}
    if not isinstance(account, dict) or (account and account.get("format") != 1):
        raise DataError(f"{path} is no account of au-jax predict; choose another folder with --out")
    known = account.get("videos", {})
    rows: dict[str, dict[str, Any]] = {}
    for number, job in enumerate(jobs, 1):
        fingerprint = {"settings": dict(settings), "source": str(job.source.absolute()), "state": state_of(job.source)}
        entry = known.get(job.name)
        if entry and entry["made_from"] == fingerprint and all(output.exists() for output in outputs(job)):
            rows[job.name] = {"video": job.name, "state": "done before", **entry["facts"]}
            continue
        console.tell(f"{number} of {len(jobs)}: {job.source}")
        known.pop(job.name, None)
        try:
            facts = score(job)
        # Whatever it is, the other videos are not to blame.
        except Exception as error:
            if not isinstance(error, UserError | OSError):
                console.note(traceback.format_exc())
            told = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
            rows[job.name] = {"video": job.name, "state": "failed", "problem": " ".join(told.split())}
            console.tell(f"failed: {rows[job.name]['problem']}")
        else:
            rows[job.name] = {"video": job.name, "state": "done", **facts}
            known[job.name] = {"made_from": fingerprint, "facts": facts}
        files.write_json(path, {"format": 1, "videos": known})
        write_summary(folder / SUMMARY, rows.values())
        also(list(rows.values()))
    write_summary(folder / SUMMARY, rows.values())
    also(list(rows.values()))
    return list(rows.values())


def write_summary(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Writes a row for each video as CSV; what is not known is an empty cell.

    Example:
      >>> write_summary(folder / "summary.csv", [{"video": "a", "state": "done", "frames": 7}, {"video": "b", "state": "failed"}])
      >>> (folder / "summary.csv").read_text().splitlines()
      ['video,state,frames', 'a,done,7', 'b,failed,']
    """
    rows = list(rows)
    names = list(dict.fromkeys(name for row in rows for name in row))
    stream = io.StringIO()
    writer = csv.DictWriter(stream, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: "" if value is None else value for name, value in row.items()} for row in rows)
    files.write_text(path, stream.getvalue())


def summary_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The table for the terminal: video, state, frames, faces, confidence and what should be known.

    Example:
      >>> row = {"video": "anna/T1", "state": "done", "frames": 50, "faces": 49, "median_confidence": 0.97}
      >>> for line in summary_lines([row]):
      ...     print(line)
      video    state  frames  with a face %  confidence  to be known
      anna/T1  done       50           98.0        0.97
    """
    table = [["video", "state", "frames", "with a face %", "confidence", "to be known"]]
    for row in rows:
        frames, faces, middle = row.get("frames"), row.get("faces"), row.get("median_confidence")
        share = f"{100 * faces / frames:.1f}" if frames and faces is not None else "-"
        table.append(
            [
                str(row["video"]), str(row["state"]), "-" if frames is None else str(frames), share,
                "-" if middle is None else f"{middle:.2f}", str(row.get("problem") or row.get("notes") or ""),
            ]
        )  # fmt: skip
    widths = [max(len(line[column]) for line in table) for column in range(5)]
    lines = []
    for line in table:
        cells = [line[0].ljust(widths[0]), line[1].ljust(widths[1])]
        cells += [cell.rjust(width) for cell, width in zip(line[2:5], widths[2:], strict=True)]
        lines.append("  ".join([*cells, line[5]]).rstrip())
    return lines
