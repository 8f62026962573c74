"""A video's table of AUs, written row by row as the video is read: the library part of `au_jax.predict`.

A live camera and an hour of video need the same memory. Of several people one is scored, the largest face of the first frame
with any, until that person leaves; or all of them, with a row for each face of a frame.
"""

import contextlib
import io
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from tqdm import tqdm

from au_jax import files
from au_jax.errors import CommandError, DataError
from au_jax.faces.decoding import is_camera, probe, read_pictures
from au_jax.faces.frame_folder import frame_files
from au_jax.faces.people import LARGEST, parse_faces
from au_jax.faces.tracking import RegisteredFace
from au_jax.inference.event_writers import EVENT_FORMATS, EventRules, EventsWriter
from au_jax.inference.scoring import LIVE_CHUNK, FaceScorer
from au_jax.inference.writers import FORMATS, CsvWriter, Detections
from au_jax.outputs import check_outputs


@runtime_checkable
class FrameWriter(Protocol):
    """What else is made of the frames, such as `report.overlay.OverlayWriter`; closed, as a context, after the last frame.

    Example:
      >>> class Counter(contextlib.AbstractContextManager):
      ...     frames = 0
      ...     def write(self, detections, faces): self.frames += len(faces)
      ...     def __exit__(self, *error): print(self.frames, "frames")
      >>> isinstance(Counter(), FrameWriter)
      True
    """

    def write(self, detections: Detections, faces: list[RegisteredFace]) -> None:
        """Takes the next frames: their table, and the faces of the same frames."""

    def __enter__(self) -> object: ...

    def __exit__(self, *error: Any) -> bool | None: ...


def predict(
    detector: FaceScorer,
    video: str | Path,
    table: str | Path,
    form: str = "openface",
    fps: float | None = None,
    chunk: int = LIVE_CHUNK,
    writers: Sequence[FrameWriter] = (),
    rules: EventRules | None = None,
    rotate: int = 0,
    clock: str = "player",
    faces: str = LARGEST,
) -> dict[str, float]:
    """Writes the table, or the events, of a video file, a folder of frames or a camera index.

    A camera goes on until it ends or the user interrupts it; what was written until then is whole.

    Args:
      detector: of a run, or of a file.
      video: path, or the number of a camera as text.
      table: file to write; it is not touched before the video's first frames are scored.
      form: one of `writers.FORMATS`, written as the frames are scored, or of `event_writers.EVENT_FORMATS`, after the last one.
      fps: frames per second of a folder of frames (None: 25) or a raw stream (None: as its codec says).
      chunk: frames that are scored at once.
      writers: of what else is wanted.
      rules: how scores become events; None: the defaults.
      rotate: degrees by which the pictures are turned clockwise: 0, 90, 180 or 270.
      clock: of `faces.decoding.CLOCKS`: where a video's times begin.
      faces: who is scored: "largest", "all", or how many people at a time.

    Returns:
      frames, faces (frames with one), together (the most faces that were seen in a frame, as far as they were looked for),
      people (who have a row with a face) and seconds (of work).

    Raises:
      CommandError: an unknown format or number of faces, or a table that is the video or lies among its frames.
      UserError: nothing there that can be read.
      OSError: an output cannot be written.

    Example:
      >>> import tempfile
      >>> from PIL import Image
      >>> from au_jax.inference.detector import Detector
      >>> folder = Path(tempfile.mkdtemp())
      >>> Image.new("RGB", (64, 48)).save(folder / "1.png")
      >>> detector = Detector.from_run(run_folder, folds=[0], systems=["anet"])
      >>> counts = predict(detector, folder, Path(tempfile.mkdtemp()) / "aus.csv")
      >>> counts["frames"], counts["faces"]
      (1, 0)
    """
    if form not in (*FORMATS, *EVENT_FORMATS):
        raise CommandError(f"--format is {form!r}; choose one of {', '.join((*FORMATS, *EVENT_FORMATS))}")
    parse_faces(faces)
    video, table = str(video), Path(table)
    check_outputs({"table": table}, {"video": video})
    events = _events_writer(video, table, form, rules or EventRules()) if form in EVENT_FORMATS else None
    frames = read_pictures(video, fps, rotate, clock)
    count, with_face, together, start = 0, 0, 0, time.monotonic()
    people: set[int] = set()
    with contextlib.ExitStack() as stack:
        for writer in writers:
            stack.enter_context(writer)
        progress = stack.enter_context(tqdm(total=_expected(video), desc=f"predict {video}", unit="frame"))
        csv: CsvWriter | None = None
        # Interrupting is how a camera's recording ends.
        with contextlib.suppress(*((KeyboardInterrupt,) if is_camera(video) else ())):
            for detections, rows in detector.stream(frames, chunk, faces):
                if events is not None:
                    events.write(detections)
                elif csv is None:
                    # Only now: a video that cannot be read must not cost an older table.
                    text = io.TextIOWrapper(stack.enter_context(files.opened(table, live=True)), "utf-8", newline="")
                    stack.callback(text.detach)
                    csv = CsvWriter(text, form, _source(video))
                if csv is not None:
                    csv.write(detections)
                for writer in writers:
                    writer.write(detections, rows)
                new = len(np.unique(detections.frames))
                count += new
                with_face += len(np.unique(detections.frames[detections.success]))
                people.update(detections.people[detections.success].tolist())
                together = max([together, *(row.face.seen for row in rows if row.face is not None)])
                progress.update(new)
        if not count:
            raise DataError(f"{video} has no frames; give another video")
        if events is not None:
            events.close()
    seconds = time.monotonic() - start
    return {"frames": count, "faces": with_face, "together": together, "people": len(people), "seconds": seconds}


def _source(video: str) -> str | dict[int, Path]:
    """What py-feat's column "input" names: it opens the pictures again."""
    if is_camera(video):
        return video
    path = Path(video).absolute()
    return frame_files(path) if path.is_dir() else str(path)


def _events_writer(video: str, table: Path, form: str, rules: EventRules) -> EventsWriter:
    if is_camera(video):
        raise CommandError(
            f"--format={form} belongs to a video that can be opened again; record the camera, or take a table"
        )
    return EventsWriter(table, form, str(Path(video).absolute()), rules)


def _expected(video: str) -> int | None:
    """How many frames there should be; None where nothing says so."""
    if is_camera(video):
        return None
    return len(frame_files(Path(video))) if Path(video).is_dir() else probe(Path(video)).frames
