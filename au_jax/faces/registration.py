"""Registration: every face is brought onto one 200-px template by a similarity transform of its 49 landmarks.

The 49 landmarks are the 68 of iBUG without the jaw (0-16) and without the inner mouth corners (60, 64), in this order:
brows 0-9, nose bridge 10-13, nose base 14-18, eyes 19-30, outer lip 31-42, upper inner lip 43-45, lower inner lip
46-48. The template is our own symmetric one: eye line at y = 65, eye centres 65 px apart, mouth corners at y = 132.
"""

import numpy as np
from jaxtyping import Float, Float32, Float64, UInt8
from PIL import Image

TEMPLATE_SIZE: int = 200
"""Side of the square in which `TEMPLATE` is given, in pixels."""

# The half of the face at smaller x, plus the midline; the rest is its mirror image about x = 100.
_BROW = [(43.0, 46.0), (53.0, 40.5), (65.0, 38.0), (77.0, 39.5), (88.5, 43.5)]
_BRIDGE = [(100.0, 62.0), (100.0, 75.0), (100.0, 88.0), (100.0, 100.0)]
_NOSE_BASE = [(84.5, 108.5), (92.0, 111.5), (100.0, 113.0)]
_EYE = [(52.0, 65.2), (62.0, 60.2), (73.0, 60.0), (83.0, 66.0), (73.0, 69.2), (62.0, 69.4)]
_LIP_UPPER = [(74.0, 132.0), (83.0, 126.6), (93.0, 122.9), (100.0, 124.2)]
_LIP_LOWER = [(100.0, 145.3), (91.0, 144.3), (81.5, 139.9)]
_INNER_UPPER = [(91.0, 130.9), (100.0, 131.5)]
_INNER_LOWER = [(100.0, 132.5), (91.0, 131.9)]


def _mirrored(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    return [(200.0 - x, y) for x, y in points]


def _template() -> np.ndarray:
    eye_outer, eye_up_outer, eye_up_inner, eye_inner, eye_low_inner, eye_low_outer = _mirrored(_EYE)
    points = (
        _BROW
        + _mirrored(_BROW)[::-1]
        + _BRIDGE
        + _NOSE_BASE
        + _mirrored(_NOSE_BASE)[-2::-1]
        + _EYE
        + [eye_inner, eye_up_inner, eye_up_outer, eye_outer, eye_low_outer, eye_low_inner]
        + _LIP_UPPER
        + _mirrored(_LIP_UPPER)[-2::-1]
        + _mirrored(_LIP_LOWER)[:0:-1]
        + _LIP_LOWER
        + _INNER_UPPER
        + _mirrored(_INNER_UPPER)[-2::-1]
        + _mirrored(_INNER_LOWER)[:0:-1]
        + _INNER_LOWER
    )
    return np.asarray(points, np.float32)


TEMPLATE: np.ndarray = _template()
"""[49, 2] float32, x then y, in a 200 x 200 face: where registration brings the landmarks."""

# fmt: off
MIRROR: np.ndarray = np.array([
    9, 8, 7, 6, 5, 4, 3, 2, 1, 0,  # brows
    10, 11, 12, 13, 18, 17, 16, 15, 14,  # nose bridge and base
    28, 27, 26, 25, 30, 29, 22, 21, 20, 19, 24, 23,  # eyes
    37, 36, 35, 34, 33, 32, 31, 42, 41, 40, 39, 38,  # outer lip
    45, 44, 43, 48, 47, 46,  # inner lip
])
# fmt: on
"""[49] int: landmark i of a mirrored image is landmark MIRROR[i] of the image, with x turned into width - 1 - x."""


def similarity(source: Float[np.ndarray, "N 2"], target: Float[np.ndarray, "M 2"]) -> Float64[np.ndarray, "2 3"]:
    """The least-squares similarity transform (rotation, scale, shift; no reflection) from source to target.

    Args:
      source: [N, 2] points, x then y, N >= 2.
      target: [N, 2] the points they should come to lie on.

    Returns:
      [2, 3] float64 matrix `m` with `target ~ source @ m[:, :2].T + m[:, 2]`.

    Raises:
      ValueError: the shapes do not match, a coordinate is not finite, or all points of one set are the same point.

    Reference: Umeyama, "Least-squares estimation of transformation parameters between two point patterns", PAMI 1991.

    Example:
      >>> source = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
      >>> similarity(source, 2.0 * source + 5.0).round(6).tolist()  # twice as large, shifted by 5
      [[2.0, 0.0, 5.0], [0.0, 2.0, 5.0]]
    """
    source = np.asarray(source, np.float64)
    target = np.asarray(target, np.float64)
    if source.shape != target.shape or source.ndim != 2 or source.shape[1] != 2 or source.shape[0] < 2:
        raise ValueError(f"similarity needs two [N, 2] arrays with N >= 2, found {source.shape} and {target.shape}")
    if not (np.isfinite(source).all() and np.isfinite(target).all()):
        raise ValueError("similarity needs finite points, found NaN or infinity: treat the face as not found")
    source_mean, target_mean = source.mean(0), target.mean(0)
    centred, wanted = source - source_mean, target - target_mean
    variance = (centred**2).sum() / len(source)
    if variance < 1e-12 or (wanted**2).sum() < 1e-12:
        raise ValueError("similarity is undefined: all points of one set coincide")
    covariance = wanted.T @ centred / len(source)
    u, singular, vt = np.linalg.svd(covariance)
    sign = np.array([1.0, 1.0 if np.linalg.det(u) * np.linalg.det(vt) >= 0 else -1.0])
    rotation = (u * sign) @ vt
    scale = (singular * sign).sum() / variance
    if scale < 1e-9:
        raise ValueError("similarity is undefined: no rotation brings the source any nearer to the target")
    linear = scale * rotation
    return np.concatenate([linear, (target_mean - linear @ source_mean)[:, None]], axis=1)


def register(
    image: np.ndarray, landmarks: np.ndarray, size: int = TEMPLATE_SIZE
) -> tuple[UInt8[np.ndarray, "S S 3"], Float32[np.ndarray, "49 2"]]:
    """Cuts the face out of an image, so that its landmarks fall onto the template.

    Args:
      image: [H, W, 3] uint8 RGB.
      landmarks: [49, 2] pixels in `image`, x then y, pixel centres at whole numbers.
      size: side of the result in pixels; the template is scaled with it.

    Returns:
      face: [size, size, 3] uint8 RGB, black where it reaches outside `image`. Bilinear, and averaged over about the area
        of an output pixel where the face shrinks.
      landmarks: [49, 2] float32, x then y, in `face`.

    Raises:
      ValueError: `image` is not [H, W, 3] uint8, or the landmarks are degenerate.

    Example:
      >>> image = np.full((400, 400, 3), 90, np.uint8)
      >>> face, landmarks = register(image, 2.0 * TEMPLATE, size=100)
      >>> face.shape, bool(np.allclose(landmarks, TEMPLATE / 2, atol=1e-3))
      ((100, 100, 3), True)
    """
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f"register needs a [H, W, 3] uint8 image, found {image.shape} {image.dtype}")
    if np.shape(landmarks) != TEMPLATE.shape:
        raise ValueError(f"register needs [49, 2] landmarks, found {np.shape(landmarks)}")
    matrix = similarity(landmarks, TEMPLATE * (size / TEMPLATE_SIZE))
    back = np.linalg.inv(np.vstack([matrix, [0.0, 0.0, 1.0]]))
    # Pillow puts the centre of pixel i at i + 0.5, on both sides; of the output's pixels to the image's.
    linear = back[:2, :2]
    shift = back[:2, 2] + 0.5 - linear @ np.array([0.5, 0.5])
    # Pillow's bilinear transform reads 2 x 2 pixels whatever the scale: where it would skip pixels, the face is drawn larger
    # by a whole factor and blocks of it are averaged. That takes long for a large face, so that blocks of the image are
    # averaged before, as long as twice the output's pixels are left: grey levels differ by 0.7 on average from without.
    shrink = 1.0 / np.sqrt(np.linalg.det(matrix[:, :2]))
    block = max(1, int(shrink / 2))
    factor = max(1, int(np.ceil(shrink / block - 0.25)))
    part, left, top = _around(image, linear, shift, size, block)
    if not part.size:  # all of it is outside the image
        face = np.zeros((size, size, 3), np.uint8)
    else:
        linear, shift = linear / (factor * block), (shift - (left, top)) / block
        coefficients = (linear[0, 0], linear[0, 1], shift[0], linear[1, 0], linear[1, 1], shift[1])
        picture = Image.fromarray(part)
        if block > 1:
            picture = picture.reduce(block)
        picture = picture.transform(
            (size * factor, size * factor), Image.Transform.AFFINE, coefficients, resample=Image.Resampling.BILINEAR
        )
        if factor > 1:
            picture = picture.reduce(factor)
        face = np.asarray(picture).copy()
    moved = np.asarray(landmarks, np.float64) @ matrix[:, :2].T + matrix[:, 2]
    return face, moved.astype(np.float32)


def _around(
    image: np.ndarray, linear: np.ndarray, shift: np.ndarray, size: int, block: int
) -> tuple[np.ndarray, int, int]:
    """The part of an image that a face is drawn from, and the column and row of its first pixel.

    The rest is not looked at: a large picture costs no more than a small one.
    """
    corners = np.array([(0, 0), (size, 0), (0, size), (size, size)]) @ linear.T + shift
    # Two blocks more on every side: the transform reads neighbours.
    first = np.floor(corners.min(0)).astype(int) - 2 * block
    last = np.ceil(corners.max(0)).astype(int) + 2 * block
    (left, top), (right, bottom) = np.maximum(first, 0), np.minimum(last, image.shape[1::-1])
    return image[top : max(top, bottom), left : max(left, right)], int(left), int(top)
