"""dlib's frontal face detector and its 68 landmarks, loaded once.

The detector slides a window of 80 pixels over a pyramid of histograms of oriented gradients (King, "Max-margin object
detection", arXiv:1502.00046); the landmarks are found by an ensemble of regression trees (Kazemi and Sullivan, "One
millisecond face alignment", CVPR 2014), trained on iBUG 300-W, which is for non-commercial use.
"""

import functools
import importlib.util
import threading
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image

from au_jax.errors import UserError
from au_jax.faces.person import Box

_MODEL = "shape_predictor_68_face_landmarks.dat"
_MISSING = (
    "faces are found by dlib and its landmark model, of which {} is missing; make video, or pip install 'au_jax[video]' (or take "
    "another model: make mesh, and predict --landmarks=mesh, prepare --config.data.landmarks=mesh)"
)
_own = threading.local()
_lock = threading.Lock()


def detect(image: UInt8[np.ndarray, "H W 3"], window: Box, scale: float, threshold: float) -> list[tuple[Box, float]]:
    """Finds frontal faces in a part of an image.

    Args:
      image: [H, W, 3] uint8 RGB.
      window: where to look; what lies outside the image is left out.
      scale: the window is drawn larger by this factor before; there, the detector sees faces of 75 pixels and more.
      threshold: least score; 0 is the detector's own.

    Returns:
      Boxes with scores, best first.

    Raises:
      UserError: dlib is not installed.

    Example:
      >>> detect(np.zeros((100, 100, 3), np.uint8), (0, 0, 100, 100), scale=1.0, threshold=0.0)  # nobody is there
      []
    """
    x, y, width, height = window
    left, top = max(0, int(x)), max(0, int(y))
    part = image[top : max(top, int(np.ceil(y + height))), left : max(left, int(np.ceil(x + width)))]
    size = (round(part.shape[1] * scale), round(part.shape[0] * scale))
    if min(size) < 1:
        return []
    if size != part.shape[1::-1]:
        part = np.asarray(Image.fromarray(part).resize(size, Image.Resampling.BILINEAR))
    boxes, scores, _ = _detector().run(np.ascontiguousarray(part), 0, threshold)
    return [
        ((left + b.left() / scale, top + b.top() / scale, b.width() / scale, b.height() / scale), score)
        for b, score in zip(boxes, scores, strict=True)
    ]


def find_landmarks(image: UInt8[np.ndarray, "H W 3"], box: Box) -> Float32[np.ndarray, "68 2"]:
    """The landmarks of the face in a box.

    Args:
      image: [H, W, 3] uint8 RGB.
      box: around the face, as `detect` draws it.

    Returns:
      [68, 2] float32, iBUG-68 order, x then y, whole pixels.

    Raises:
      UserError: dlib or the landmark model is not installed.

    Example:
      >>> landmarks = find_landmarks(np.zeros((100, 100, 3), np.uint8), (10, 10, 80, 80))  # it does not ask for a face
      >>> landmarks.shape, landmarks.dtype
      ((68, 2), dtype('float32'))
    """
    x, y, width, height = (round(value) for value in box)
    rectangle = _dlib().rectangle(x, y, x + width - 1, y + height - 1)
    with _lock:
        predictor = _predictor()
    parts = predictor(image, rectangle).parts()
    return np.array([(point.x, point.y) for point in parts], np.float32)


def check_installed() -> None:
    """Loads detector and landmark model, for whoever has long work before the first face.

    Raises:
      UserError: dlib or the landmark model is not installed.

    Example:
      >>> check_installed()
    """
    _detector()
    with _lock:
        _predictor()


def _detector() -> Any:
    # One for every thread: a detector keeps the image it works on, and two threads would see each other's faces.
    if not hasattr(_own, "detector"):
        _own.detector = _dlib().get_frontal_face_detector()
    return _own.detector


@functools.cache
def _predictor() -> Any:
    # The package's __init__ imports pkg_resources, which new setuptools lacks: find the file without importing it.
    spec = importlib.util.find_spec("face_recognition_models")
    folders = spec.submodule_search_locations if spec is not None else None
    path = Path(folders[0]) / "models" / _MODEL if folders else None
    if path is None or not path.is_file():
        raise UserError(_MISSING.format(_MODEL))
    return _dlib().shape_predictor(str(path))


def _dlib() -> Any:
    try:
        import dlib
    except ImportError as error:
        raise UserError(_MISSING.format("dlib")) from error
    return dlib
