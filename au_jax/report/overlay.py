"""What was detected in a frame: landmarks on the face, and beside it, never over it, a bar for every AU and system.

Of one person the bars stand in a strip at the right of the picture, of several the AUs stand beside each face.
"""

import functools
import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from jaxtyping import Shaped, UInt8
from PIL import Image, ImageDraw, ImageFont

from au_jax.faces.landmarks import Box
from au_jax.faces.tracking import Face, RegisteredFace
from au_jax.faces.video_writer import VideoWriter
from au_jax.inference.writers import Detections
from au_jax.labels import AU_NAMES
from au_jax.report import style
from au_jax.systems import display

# Pixels in a 640 x 360 frame with up to `_FITTING` AUs; others are drawn alike.
_PANEL, _MARGIN, _NUMBER = 160, 7, 22  # widths of the panel, its margin, and the AU numbers
_ROW, _TEXT, _THICK, _THIN, _LEGEND = 25, 11, 6, 3, 15  # heights
_FITTING = 12
_GROUND = (246, 246, 246)


def draw_overlay(
    image: Shaped[np.ndarray, "..."],
    face: Face | None,
    scores: Mapping[str, Shaped[np.ndarray, "..."]],
    aus: Sequence[int],
    name: str = "",
) -> UInt8[np.ndarray, "H W 3"]:
    """Draws a face's landmarks and box, and in a strip at the right of the picture a bar for every AU and system.

    A bar is tanh(score) long, to the right of the middle and filled where the AU is present (score > 0), to the left and
    hollow where it is absent. The last system has the thick bar, and its AUs are in bold. Where there is no face, the
    frame says so and has no bars; a score that is not finite has none either.

    Args:
      image: [H, W, 3] uint8 RGB, a video frame; it is not changed.
      face: the face in it, None where none was detected.
      scores: a system's name -> its scores, [A]; empty: no strip.
      aus: [A] AU numbers of the scores.
      name: whose face it is, written below the bars.

    Returns:
      [H, W + strip, 3] uint8 RGB; the strip is as wide for every picture of the same size.

    Raises:
      ValueError: `image` or scores of another shape.

    Example:
      >>> frame = np.zeros((360, 640, 3), np.uint8)
      >>> drawn = draw_overlay(frame, None, {"hybrid": np.ones(2, np.float32)}, aus=(6, 12))
      >>> drawn.shape, bool((drawn[60:, :640] == 0).all())
      ((360, 800, 3), True)
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f"draw_overlay needs a [H, W, 3] uint8 image, found {image.shape} {image.dtype}")
    for system, values in scores.items():
        if np.shape(values) != (len(aus),):
            raise ValueError(f"draw_overlay needs [{len(aus)}] scores, found {np.shape(values)} of {system}")
    height, width = image.shape[:2]
    unit = min(height / 360, width / 400)
    canvas = Image.fromarray(image)
    draw = ImageDraw.Draw(canvas)
    if face is not None:
        _draw_face(draw, face, unit)
    if face is None:
        font, place, pad = _font(round(22 * unit), True), (10 * unit, 8 * unit), 5 * unit
        box = draw.textbbox(place, "no face", font=font)
        draw.rectangle((box[0] - pad, box[1] - pad, box[2] + pad, box[3] + pad), fill=style.BLACK)
        draw.text(place, "no face", fill="white", font=font)
    if not scores:
        return np.array(canvas)
    # More AUs have lower rows.
    panel_unit = min(height / (360 + max(len(aus) - _FITTING, 0) * _ROW), width / 400)
    panel = _panel(height, panel_unit, tuple(scores), len(aus))
    whole = Image.new("RGB", (width + panel.width, height))
    whole.paste(canvas, (0, 0))
    whole.paste(panel, (width, 0))
    draw = ImageDraw.Draw(whole)
    _draw_bars(draw, width, panel_unit, scores if face is not None else {}, aus)
    if name and face is not None:
        below = (_MARGIN + len(aus) * _ROW + len(scores) * _LEGEND) * panel_unit
        font = _font(round(_TEXT * panel_unit), True)
        draw.text((width + (_MARGIN + _NUMBER) * panel_unit, below), name, fill=style.BLACK, font=font)
    return np.array(whole)


def draw_people(
    image: Shaped[np.ndarray, "..."],
    people: Sequence[tuple[int, Face, Shaped[np.ndarray, "..."]]],
    aus: Sequence[int],
) -> UInt8[np.ndarray, "H W 3"]:
    """Draws several faces, each with its number and the AUs that are present beside it.

    What is written stands at the right of the face where there is room, else on another side, and never on a face: where there is
    no room for the AUs, the number stands alone; where there is none for that either, nothing does.

    Args:
      image: [H, W, 3] uint8 RGB, a video frame; it is not changed.
      people: number of the person, face, and scores [A] of the system that decides.
      aus: [A] AU numbers of the scores.

    Returns:
      [H, W, 3] uint8 RGB.

    Example:
      >>> face = Face((20.0, 30.0, 80.0, 80.0), 0.9, np.full((68, 2), 60, np.float32))
      >>> drawn = draw_people(np.zeros((180, 320, 3), np.uint8), [(0, face, np.ones(2, np.float32))], aus=(6, 12))
      >>> drawn.shape, bool(drawn[30:80, 105:160].any()), bool(drawn[:, 200:].any())
      ((180, 320, 3), True, False)
    """
    height, width = image.shape[:2]
    unit = min(height / 360, width / 400)
    canvas = Image.fromarray(image)
    draw = ImageDraw.Draw(canvas)
    # Faces with their borders, and then what was written beside others.
    taken = [(x - 2, y - 2, wide + 4, tall + 4) for x, y, wide, tall in (face.box for _, face, _ in people)]
    for _, face, _ in people:
        _draw_face(draw, face, unit)
    for number, face, scores in people:
        present = [au for au, score in zip(aus, scores, strict=True) if score > 0]
        lines = [
            f"face {number}",
            *(" ".join(f"AU {au}" for au in present[at : at + 2]) for at in range(0, len(present), 2)),
        ]
        written = _write_beside(draw, face.box, taken, lines, (width, height), unit)
        if written is not None:
            taken.append(written)
    return np.array(canvas)


def _write_beside(
    draw: ImageDraw.ImageDraw, box: Box, taken: Sequence[Box], lines: Sequence[str], size: tuple[int, int], unit: float
) -> Box | None:
    """Writes where nothing is taken, and returns the place; None where there is none."""
    font, bold, pad = _font(round(_TEXT * unit), False), _font(round(_TEXT * unit), True), 3 * unit
    row = (_TEXT + 4) * unit
    for written in (lines, lines[:1]):
        wide = math.ceil(max(draw.textlength(line, font=bold) for line in written) + 2 * pad)
        tall = math.ceil(row * len(written) + pad)
        place = _free_place(box, taken, (wide, tall), size, math.ceil(pad))
        if place is not None:
            left, top = place
            draw.rectangle((left, top, left + wide - 1, top + tall - 1), fill=style.BLACK)
            for number, line in enumerate(written):
                at = (left + pad, top + pad / 2 + number * row)
                draw.text(at, line, fill="white", font=font if number else bold)
            return float(left), float(top), float(wide), float(tall)
    return None


def _free_place(
    box: Box, taken: Sequence[Box], needed: tuple[int, int], size: tuple[int, int], pad: int
) -> tuple[int, int] | None:
    """Left and top of a place beside a face, where nothing is taken: the first, at the right, left, below, above."""
    x, y, width, height = (round(value) for value in box)
    wide, tall = needed
    ups = [y + round(part * (height - tall)) for part in (0, 0.25, 0.5, 0.75, 1, -0.5, 1.5)]
    asides = [x + round(part * (width - wide)) for part in (0, 0.5, 1, -0.5, 1.5)]
    places = [(x + width + pad, up) for up in ups] + [(x - wide - pad, up) for up in ups]
    places += [(aside, y + height + pad) for aside in asides] + [(aside, y - tall - pad) for aside in asides]
    for left, top in places:
        inside = 0 <= left <= size[0] - wide and 0 <= top <= size[1] - tall
        if inside and not any(_shared((left, top), (wide, tall), other[:2], other[2:]) for other in taken):
            return left, top
    return None


def _shared(a: tuple[float, float], a_size: tuple[float, float], b: Sequence[float], b_size: Sequence[float]) -> float:
    """Area that two boxes share."""
    width, height = (min(a[i] + a_size[i], b[i] + b_size[i]) - max(a[i], b[i]) for i in (0, 1))
    return max(0.0, width) * max(0.0, height)


def _draw_face(draw: ImageDraw.ImageDraw, face: Face, unit: float) -> None:
    x, y, width, height = face.box
    line = max(1, round(1.5 * unit))
    corners = (x, y, x + width, y + height)
    # Dark around light is seen on any skin and background.
    draw.rectangle(corners, outline=style.BLACK, width=line + 2)
    draw.rectangle((x + 1, y + 1, x + width - 1, y + height - 1), outline=style.SKY, width=line)
    for px, py in face.landmarks.tolist():
        for radius, colour in ((max(1.8, 2 * unit), style.BLACK), (max(1.0, 1.2 * unit), style.SKY)):
            draw.ellipse((px - radius, py - radius, px + radius, py + radius), fill=colour)


def _draw_bars(
    draw: ImageDraw.ImageDraw, left: int, unit: float, scores: Mapping[str, np.ndarray], aus: Sequence[int]
) -> None:
    """Fills the panel that begins at `left`; without scores with the labels alone."""
    looks = style.system_series(list(scores))
    systems = list(scores.items())[::-1]
    middle, reach = left + _PANEL / 2 * unit, (_PANEL / 2 - _MARGIN) * unit
    thin = _THIN / max(1, len(systems) - 1)
    for row, au in enumerate(aus):
        top = (_MARGIN / 2 + row * _ROW) * unit
        present = bool(systems) and systems[0][1][row] > 0
        ink, font = style.BLACK if present else style.GREY, _font(round(_TEXT * unit), bool(present))
        draw.text((left + (_MARGIN + _NUMBER - 6) * unit, top), str(au), fill=ink, font=font, anchor="ra")
        draw.text((left + (_MARGIN + _NUMBER) * unit, top), AU_NAMES.get(au, ""), fill=ink, font=font)
        top += (_TEXT + 3) * unit
        draw.line((middle, top - 1, middle, top + (_THICK + _THIN) * unit), fill=style.GREY, width=max(1, round(unit)))
        for name, values in systems:
            height = (_THICK if name == systems[0][0] else thin) * unit
            length = math.tanh(float(values[row])) * reach if math.isfinite(values[row]) else 0.0
            if abs(length) >= 1:
                bar = (middle + min(0.0, length), top, middle + max(0.0, length), top + max(1.0, height - 1))
                colour = looks[name].colour
                draw.rectangle(bar, fill=colour if length > 0 else "white", outline=colour)
            top += height + 0.5 * unit


@functools.lru_cache(maxsize=8)
def _panel(height: int, unit: float, names: tuple[str, ...], rows: int) -> Image.Image:
    """What of the strip is the same in every frame: a pale ground and the legend."""
    legend = (_MARGIN + rows * _ROW) * unit
    panel = Image.new("RGB", (max(1, round(_PANEL * unit)), height), _GROUND)
    draw = ImageDraw.Draw(panel)
    looks = style.system_series(names)
    for row, name in enumerate(names):
        middle = legend + (row + 0.5) * _LEGEND * unit
        half = (_THICK if name == names[-1] else _THIN) * unit / 2
        swatch = (_MARGIN * unit, middle - half, (_MARGIN + _NUMBER - 6) * unit, middle + half)
        draw.rectangle(swatch, fill=looks[name].colour)
        place = ((_MARGIN + _NUMBER) * unit, middle)
        font = _font(round(_TEXT * unit), name == names[-1])
        draw.text(place, display.label(name), fill=style.BLACK, font=font, anchor="lm")
    return panel


@functools.lru_cache(maxsize=16)
def _font(size: int, bold: bool) -> ImageFont.FreeTypeFont:
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return ImageFont.truetype(str(folder / f"DejaVuSans{'-Bold' if bold else ''}.ttf"), max(8, size))


class OverlayWriter:
    """Writes a video with overlays as its frames come: `streaming.predict` takes it as one of its writers.

    Args:
      path: MP4 file to write; it is made with the first frame.
      fps: frames per second; None: as the timestamps of the first frames say.
      several: whether the AUs stand beside each face, with its number; else in a strip at the right.

    Raises:
      UserError: as `VideoWriter`.

    Example:
      >>> from au_jax.inference.streaming import predict
      >>> with OverlayWriter("clip_aus.mp4") as overlay:  # doctest: +SKIP
      ...     predict(detector, "clip.mp4", "clip.csv", writers=[overlay])
    """

    def __init__(self, path: str | Path, fps: float | None = None, several: bool = False):
        self._path, self._fps = path, fps
        self._video: VideoWriter | None = None
        self._size = (0, 0)
        self._several = several

    def write(self, detections: Detections, faces: list[RegisteredFace]) -> None:
        """Draws the next frames, of which all rows are there; those that could not be read are left out."""
        last = list(detections.scores.values())[-1]
        for _, group in itertools.groupby(enumerate(faces), key=lambda each: each[1].number):
            rows = list(group)
            index, row = rows[0]
            if row.picture is None:
                continue
            if self._several and row.face is not None:
                people = [(each.person, each.face, last[at]) for at, each in rows if each.face is not None]
                image = draw_people(row.picture, people, detections.aus)
            else:
                scores = {} if self._several else {name: part[index] for name, part in detections.scores.items()}
                # A second person is followed after the first has left.
                name = f"face {row.person}" if row.person else ""
                image = draw_overlay(row.picture, row.face, scores, detections.aus, name)
            if self._video is None:
                height, width = image.shape[:2]
                self._size = (width, height)
                self._video = VideoWriter(self._path, self._fps or _frame_rate(detections.timestamps), width, height)
            # Frames of a folder may differ in size, those of a video may not.
            if image.shape[1::-1] != self._size:
                image = np.asarray(Image.fromarray(image).resize(self._size))
            self._video.write(image, row.timestamp)

    def __enter__(self) -> "OverlayWriter":
        return self

    def __exit__(self, *_) -> None:
        if self._video is not None:
            self._video.close()


def _frame_rate(timestamps: np.ndarray) -> float:
    steps = np.diff(timestamps)
    steps = steps[steps > 0]
    return float(1.0 / np.median(steps)) if steps.size else 25.0
