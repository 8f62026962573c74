"""A picture of prepared recordings with their codes, so that a wrong offset or a wrong face is seen before training.

A strip for each recording: frames in the middle of its longest events, then those in which the face detector was least sure.
The sheet has the recordings of lowest confidence first.
"""

import dataclasses
import io
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int8
from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo

from au_jax import files
from au_jax.data.recordings import Faces, RecordingId, read_recording
from au_jax.labels import PRESENT

EVENTS, UNSURE = 4, 4
"""Frames of a strip: in the middle of events, and of lowest confidence."""

MOST_RECORDINGS = 60
"""Recordings of a sheet."""

_WORST = "lowest confidence"
_TITLE, _SIDE, _CAPTION = 13, 96, 36  # pixels of the line above a strip, of a face, and of the text below it


@dataclasses.dataclass
class Confidence:
    """Passes the parts of a recording on, and remembers how sure the face detector was.

    Attributes:
      values: of each frame; 0 without a face, NaN where a reader does not say.

    Example:
      >>> arrays = np.zeros((2, 8, 8, 3), np.uint8), np.zeros((2, 12), np.int8), np.zeros((2, 49, 2), np.float32)
      >>> sure = np.array([0.5, 0.0], np.float32)
      >>> faces = Faces(*arrays, np.array([1, 2], np.int32), np.array([True, False]), confidence=sure)
      >>> confidence = Confidence()
      >>> len(list(confidence.watch(iter([faces, faces])))), confidence.values
      (2, [0.5, 0.0, 0.5, 0.0])
    """

    values: list[float] = dataclasses.field(default_factory=list)

    def watch(self, parts: Iterator[Faces]) -> Iterator[Faces]:
        """Yields the parts as they are."""
        for part in parts:
            told = np.full(len(part.frame_numbers), np.nan) if part.confidence is None else part.confidence
            self.values += np.asarray(told, np.float64).tolist()
            yield part


def chosen_frames(
    labels: Int8[np.ndarray, "T A"], confidence: Float[np.ndarray, " T"], events: int = EVENTS, unsure: int = UNSURE
) -> list[int]:
    """Indices of the frames that a strip shows: the middles of the longest events of different AUs, then the least sure ones.

    Example:
      >>> labels = np.array([[-1, 1, 1, 1, -1, -1]], np.int8).T
      >>> chosen_frames(labels, np.array([0.9, 0.9, 0.9, 0.9, 0.2, 0.0]), 1, 1)
      [2, 4]
    """
    runs = []
    for column in range(labels.shape[1]):
        present = np.concatenate([[0], (labels[:, column] == PRESENT).astype(np.int8), [0]])
        edges = np.flatnonzero(np.diff(present)).reshape(-1, 2)
        if len(edges):
            begin, stop = max(edges.tolist(), key=lambda edge: edge[1] - edge[0])
            runs.append((begin - stop, (begin + stop) // 2))
    middles = list(dict.fromkeys(middle for _, middle in sorted(runs)))[:events]
    seen = np.flatnonzero(~(confidence == 0))  # without a face there is nothing to see
    order = seen[np.argsort(np.nan_to_num(confidence[seen], nan=1.0), kind="stable")]
    chosen = list(middles)
    for index in order.tolist():
        # Neighbours look alike.
        if len(chosen) < len(middles) + unsure and all(abs(index - other) > len(labels) // 30 for other in chosen):
            chosen.append(index)
    return chosen


def write_strip(
    strips: Path, folder: Path, recording: RecordingId, confidence: Sequence[float], aus: Sequence[int]
) -> None:
    """Draws the strip of a prepared recording, <strips>/<subject>/<video>.png.

    Args:
      strips: folder of the strips of a dataset.
      folder: of the prepared recordings of a dataset.
      recording: its names.
      confidence: of each frame, as `Confidence` collects it.
      aus: the AUs of the labels.

    Example:
      >>> from au_jax.data.recordings import encode_jpeg, write_encoded
      >>> clip, jpeg = RecordingId("anna", "strip"), encode_jpeg(np.zeros((8, 8, 3), np.uint8), 95)
      >>> row = {"labels": np.ones(1, np.int8), "landmarks": np.zeros((49, 2), np.float32), "frame": 7, "found": True}
      >>> write_encoded(folder, clip, [{"jpeg": jpeg, **row}], [], None)
      >>> write_strip(folder / "strips", folder, clip, [0.5], aus=(12,))
      >>> Image.open(folder / "strips" / "anna" / "strip.png").size  # room for eight faces of 96 pixels
      (768, 145)
    """
    rows = list(read_recording(folder, recording))
    sure = np.asarray(confidence, np.float64) if len(confidence) == len(rows) else np.full(len(rows), np.nan)
    chosen = chosen_frames(np.stack([row["labels"] for row in rows]).astype(np.int8), sure)
    strip = Image.new("RGB", ((EVENTS + UNSURE) * _SIDE, _TITLE + _SIDE + _CAPTION), "white")
    draw = ImageDraw.Draw(strip)
    seen = sure[sure > 0]
    worst = float(seen.min()) if len(seen) else 1.0
    title = f"{recording.subject}/{recording.video}: {len(rows)} frames, {int((sure == 0).sum())} without a face"
    draw.text((2, 0), title + (f", lowest confidence {worst:.2f}" if len(seen) else ""), fill="black")
    for place, index in enumerate(chosen):
        row = rows[index]
        left, top = place * _SIDE, _TITLE
        face = Image.open(io.BytesIO(row["jpeg"])).convert("RGB").resize((_SIDE - 2, _SIDE - 2))
        strip.paste(face, (left, top))
        present = [str(au) for au, label in zip(aus, row["labels"], strict=True) if label == PRESENT]
        number = f"{row['frame']}" + ("" if np.isnan(sure[index]) else f"  {sure[index]:.2f}")
        draw.text((left + 2, top + _SIDE - 2), number, fill="black")
        text = " ".join(present) or ("none" if row["labels"].any() else "no codes")
        for line, part in enumerate(textwrap.wrap(text, 16)[:2]):
            draw.text((left + 2, top + _SIDE + 9 + 10 * line), part, fill="firebrick")
    stream = io.BytesIO()
    note = PngInfo()
    note.add_text(_WORST, str(worst))
    strip.save(stream, "PNG", pnginfo=note)
    files.write_bytes(_strip(strips, recording), stream.getvalue())


def write_sheet(path: Path, strips: Path, recordings: Sequence[RecordingId]) -> int:
    """Joins the strips of recordings in one picture, those of lowest confidence first.

    Args:
      path: PNG to write; strips: folder of the strips.
      recordings: those of the dataset; of more than `MOST_RECORDINGS` the least sure ones are shown.

    Returns:
      How many are shown; without any, no file is written.

    Example:
      >>> from au_jax.data.recordings import encode_jpeg, write_encoded
      >>> clip, jpeg = RecordingId("anna", "sheet"), encode_jpeg(np.zeros((8, 8, 3), np.uint8), 95)
      >>> row = {"labels": np.ones(1, np.int8), "landmarks": np.zeros((49, 2), np.float32), "frame": 7, "found": True}
      >>> write_encoded(folder, clip, [{"jpeg": jpeg, **row}], [], None)
      >>> write_strip(folder / "strips", folder, clip, [0.5], aus=(12,))
      >>> write_sheet(folder / "sheet.png", folder / "strips", [clip, RecordingId("anna", "without_a_strip")])
      1
    """
    found = []
    for recording in recordings:
        place = _strip(strips, recording)
        if place.exists():
            with Image.open(place) as strip:
                found.append((float(strip.info[_WORST]), place))
    shown = [place for _, place in sorted(found)[:MOST_RECORDINGS]]
    if not shown:
        return 0
    pictures = [Image.open(place).convert("RGB") for place in shown]
    sheet = Image.new("RGB", (pictures[0].width, sum(picture.height for picture in pictures)), "white")
    top = 0
    for picture in pictures:
        sheet.paste(picture, (0, top))
        top += picture.height
    stream = io.BytesIO()
    sheet.save(stream, "PNG")
    files.write_bytes(path, stream.getvalue())
    return len(shown)


def _strip(strips: Path, recording: RecordingId) -> Path:
    return strips / recording.subject / f"{recording.video}.png"
