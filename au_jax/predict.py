"""AUs of a video with a finished run: `python -m au_jax.predict --run=runs/demo --video=clip.mp4 --out=clip.csv`.

Writes a row for every frame as it comes, so that a live camera and an hour of video need the same memory; only --plot keeps
the scores. Of several people one is scored: the largest face of the first frame with any, then the face nearest to where it
was; crop the video for another.
"""

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from absl import flags
from PIL import Image
from tqdm import tqdm

from au_jax import files
from au_jax.command_line import run_command
from au_jax.errors import UserError
from au_jax.faces.decoding import frame_files, probe, read_pictures
from au_jax.faces.video_writer import VideoWriter
from au_jax.inference.detector import CHUNK, Detector
from au_jax.inference.writers import FORMATS, CsvWriter, Detections, concatenate
from au_jax.labels import PAPER_AUS
from au_jax.report import style
from au_jax.report.overlay import draw_overlay
from au_jax.report.timeline import draw_detections


@dataclass(frozen=True)
class Outputs:
    """Where the table goes, and what else is wanted.

    Attributes:
      table: a CSV file.
      form: one of `FORMATS`.
      overlay: an MP4 file: the video with landmarks and AU bars; None: not wanted.
      plot: a PNG file: the timeline; None: not wanted.
    """

    table: Path
    form: str = "openface"
    overlay: Path | None = None
    plot: Path | None = None


def predict(
    detector: Detector, video: str, outputs: Outputs, fps: float = 25.0, chunk: int = CHUNK
) -> dict[str, float]:
    """Writes the table of a video file, a folder of frames or a camera index, and the pictures that are wanted.

    A camera goes on until it ends or the user interrupts it; what was written until then is whole.

    Args:
      fps: frames a second in a folder of frames.
      chunk: frames that are scored at once.

    Returns:
      frames, faces (frames with one), together (the most faces that were seen in a frame, as far as they were looked for)
      and seconds (of work).

    Raises:
      UserError: nothing there that can be read.
      OSError: an output cannot be written.
    """
    if outputs.form not in FORMATS:
        raise UserError(f"--format is {outputs.form!r}; choose one of {', '.join(FORMATS)}")
    pictures = read_pictures(video, fps)
    kept: list[Detections] = []
    frames, faces, together, start = 0, 0, 0, time.monotonic()
    with contextlib.ExitStack() as stack:
        outputs.table.parent.mkdir(parents=True, exist_ok=True)
        table: CsvWriter | None = None
        overlay: VideoWriter | None = None
        height = width = 0
        progress = stack.enter_context(tqdm(total=_expected(video), desc=f"predict {video}", unit="frame"))
        # Interrupting is how a camera's recording ends.
        with contextlib.suppress(*((KeyboardInterrupt,) if video.isdigit() else ())):
            for detections, rows in detector.stream(pictures, chunk):
                if table is None:
                    # Only now: a video that cannot be read must not cost an older table.
                    stack.enter_context(files.named(outputs.table))
                    table = CsvWriter(stack.enter_context(open(outputs.table, "w", newline="")), outputs.form)
                table.write(detections)
                if outputs.overlay:
                    for index, row in enumerate(rows):
                        if row.picture is None:
                            continue
                        if overlay is None:
                            height, width = row.picture.shape[:2]
                            rate = fps if Path(video).is_dir() else _rate(detections)
                            overlay = stack.enter_context(VideoWriter(outputs.overlay, rate, width, height))
                        scores = {name: part[index] for name, part in detections.scores.items()}
                        drawn = draw_overlay(row.picture, row.face, scores, PAPER_AUS)
                        # Frames of a folder may differ in size, those of a film may not.
                        if drawn.shape[:2] != (height, width):
                            drawn = np.asarray(Image.fromarray(drawn).resize((width, height)))
                        overlay.write(drawn, row.timestamp)
                if outputs.plot:
                    kept.append(_without_landmarks(detections))
                frames += len(detections)
                faces += int(detections.success.sum())
                together = max([together, *(row.face.seen for row in rows if row.face is not None)])
                progress.update(len(detections))
    if not frames:
        raise UserError(f"{video} has no frames")
    if outputs.plot:
        with style.look():
            files.write_bytes(outputs.plot, style.to_png(draw_detections(concatenate(kept), Path(video).name)))
    return {"frames": frames, "faces": faces, "together": together, "seconds": time.monotonic() - start}


def _expected(video: str) -> int | None:
    """How many frames there should be; None where nothing tells."""
    if video.isdigit():
        return None
    return len(frame_files(Path(video))) if Path(video).is_dir() else probe(Path(video)).frames


def _rate(detections: Detections) -> float:
    """Frames a second, from the timestamps of the first chunk."""
    steps = np.diff(detections.timestamps)
    steps = steps[steps > 0]
    return float(1.0 / np.median(steps)) if steps.size else 25.0


def _without_landmarks(detections: Detections) -> Detections:
    return Detections(**{**vars(detections), "landmarks": detections.landmarks[:, :0]})


def numbers(texts: Sequence[str]) -> list[int]:
    """Numbers of folds, as --folds gives them.

    Raises:
      UserError: something else.
    """
    try:
        return [int(text) for text in texts]
    except ValueError:
        raise UserError(f"--folds is {','.join(texts)!r}; give numbers of folds, such as --folds=0,2") from None


def _main() -> None:
    folds, systems = numbers(_FOLDS.value), _SYSTEMS.value
    detector = Detector.from_run(_RUN.value, folds, systems)
    live = _VIDEO.value.isdigit()
    outputs = Outputs(
        Path(_OUT.value),
        _FORMAT.value,
        Path(_OVERLAY.value) if _OVERLAY.value else None,
        Path(_PLOT.value) if _PLOT.value else None,
    )
    chunk = _CHUNK.value or (8 if live else CHUNK)
    told = predict(detector, _VIDEO.value, outputs, _FPS.value, chunk)
    print(
        f"{told['frames']} frames, {told['faces']} with a face, {told['frames'] / told['seconds']:.1f} frames/s; "
        f"{_OUT.value} has a row for each"
    )
    if told["together"] > 1:
        print(
            f"up to {told['together']} faces in a frame; the largest at first is followed, crop the video for another"
        )


if __name__ == "__main__":
    _RUN = flags.DEFINE_string("run", None, "Folder of a finished run.", required=True)
    _VIDEO = flags.DEFINE_string(
        "video", None, "Video file, folder of frames, or camera index; one person is scored.", required=True
    )
    _OUT = flags.DEFINE_string("out", None, "CSV file to write.", required=True)
    _FORMAT = flags.DEFINE_enum("format", "openface", sorted(FORMATS), "Columns as OpenFace's or py-feat's (fex).")
    _OVERLAY = flags.DEFINE_string("overlay", None, "MP4 file to write: the video with landmarks and AU bars.")
    _PLOT = flags.DEFINE_string("plot", None, "PNG file to write: the AUs over time.")
    _FOLDS = flags.DEFINE_list("folds", [], "Folds whose models serve; all of the run's by default.")
    _SYSTEMS = flags.DEFINE_list("systems", [], "anet, hybrid or both; those that the run has by default.")
    _FPS = flags.DEFINE_float("fps", 25.0, "Frames a second in a folder of frames.", lower_bound=0.001)
    _CHUNK = flags.DEFINE_integer("chunk", 0, "Frames scored at once; 0: 32, and 8 for a camera.", lower_bound=0)
    run_command(_main)
