"""The expression: what each AU (and the person) does to the points of a face, its lids, its lips and its furrows.

One set of functions serves pixels and landmarks: `movement_basis` gives the displacement of any canonical point per
unit of each driver, `lids` and `lips` the parameters of the drawn eyes and mouth, `furrow_weights` how deep each furrow
is carved. Drivers have two sides, 0 at smaller x. An AU's driver is 1 at intensity E.
Source: the appearance changes named in the FACS manual (Ekman, Friesen & Hager 2002), drawn from their descriptions.
"""

import numpy as np

from au_jax.synthfacs.presets import AUS

IDENTITY_DRIVERS: tuple[str, ...] = (
    "eye_gap", "eye_height", "brow_height", "brow_inner", "brow_outer", "nose_width", "nose_length", "mouth_width",
    "mouth_height", "mouth_corner", "jaw_width", "chin_length", "face_width", "cheek_width", "forehead",
)  # fmt: skip
DRIVERS: tuple[str, ...] = (*(f"AU{au}" for au in AUS), "jaw", *IDENTITY_DRIVERS)
"""What moves the face: the AUs in the order of `presets.AUS`, the jaw's opening, and the person's shape."""
NUM_MOVING = len(AUS) + 1
"""The drivers that change within a video come first."""

# driver: rows of (centre x, centre y, width x, width y, shift x, shift y), for the side at smaller x, canonical units.
_BLOBS: dict[str, list[tuple[float, float, float, float, float, float]]] = {
    "AU1": [(90, 42, 11, 12, 0.5, -9.5), (90, 20, 15, 14, 0, -4.5), (80, 60, 8, 4, 0, -1.0)],
    "AU2": [(50, 43, 12, 13, 0, -9.5), (65, 37, 10, 12, 0, -5.5), (52, 18, 16, 14, 0, -4)],
    "AU4": [(88, 43, 12, 11, 5.0, 7.5), (66, 39, 12, 11, 2.5, 6.5), (48, 46, 10, 10, 1, 2.0), (86, 20, 14, 14, 1.0, 3.0)],
    "AU6": [(60, 90, 17, 13, 0.5, -6.5), (42, 68, 9, 12, 3.0, 0.0), (66, 76, 15, 6, 0, -2.5), (48, 47, 10, 8, 0, 2.0)],
    "AU7": [(67, 74, 14, 5, 0, -2.0), (67, 56, 14, 5, 0, 1.0)],
    "AU10": [(86, 119, 11, 9, -1.0, -6.5), (83, 106, 7, 7, -1.2, -3.0), (73, 97, 10, 11, 0, -4.5)],
    "AU12": [(73, 132, 12, 12, -8.5, -9.0), (59, 106, 15, 13, -3.0, -6.5), (86, 118, 9, 7, -3.0, -1.5), (85, 142, 9, 8, -3, -2)],
    "AU14": [(73, 132, 7, 8, -4.0, -1.0), (58, 133, 7, 14, 5.5, 0.0)],
    "AU15": [(74, 133, 11, 10, -1.0, 8.5), (70, 147, 10, 10, 0.5, 3.5)],
    "AU17": [(92, 166, 14, 11, 0, -4.5), (92, 149, 14, 8, 0, -4.0), (94, 133, 14, 8, 0, -2.6)],
    "AU23": [(75, 132, 10, 9, 5.0, 0.0), (88, 120, 10, 5, 1.0, 1.0), (88, 147, 10, 5, 1.0, -1.5)],
    "AU24": [(75, 132, 9, 8, 2.0, 0.5), (88, 119, 12, 6, 0, 1.5), (88, 148, 12, 6, 0, -2.0)],
    "jaw": [(88, 172, 34, 24, 0, 6.5), (75, 134, 9, 9, 2.0, 2.0)],
    "eye_gap": [(67.5, 65, 24, 16, -2.6, 0)],
    "eye_height": [(67.5, 65, 26, 14, 0, -1.8)],
    "brow_height": [(66, 40, 26, 11, 0, -3.2)],
    "brow_inner": [(88, 43, 12, 11, 0, -2.6)],
    "brow_outer": [(50, 43, 13, 12, 0, -2.8)],
    "nose_width": [(86, 107, 9, 9, -2.8, 0)],
    "nose_length": [(94, 108, 14, 14, 0, 2.6)],
    "mouth_width": [(74, 132, 15, 14, -4.5, 0)],
    "mouth_height": [(84, 135, 24, 16, 0, 2.0)],
    "mouth_corner": [(74, 132, 10, 10, 0, -2.6)],
    "jaw_width": [(45, 152, 22, 28, -6.0, 0)],
    "chin_length": [(85, 178, 30, 20, 0, 4.0)],
    "face_width": [(30, 80, 26, 60, -6.0, 0)],
    "cheek_width": [(42, 112, 18, 24, -3.5, 0)],
    "forehead": [(75, 0, 34, 26, 0, -4.0)],
}  # fmt: skip


def movement_basis(points: np.ndarray) -> np.ndarray:
    """Returns how far each driver moves each point.

    Args:
      points: [N, 2] canonical points at rest.

    Returns:
      [len(DRIVERS), 2, N, 2] float64: displacement in canonical units per unit of (driver, side).

    Example:
      >>> moves = movement_basis(np.array([[73.0, 132.0]]))  # a mouth corner
      >>> moves.shape == (len(DRIVERS), 2, 1, 2)
      True
      >>> moves[DRIVERS.index("AU12"), 0, 0].round(1).tolist()  # a smile pulls it outwards and up
      [-9.5, -10.0]
    """
    x, y = points[:, 0], points[:, 1]
    out = np.zeros((len(DRIVERS), 2, len(points), 2))
    for index, driver in enumerate(DRIVERS):
        for cx, cy, sx, sy, dx, dy in _BLOBS[driver]:
            for side, (centre, sign) in enumerate(((cx, 1.0), (200.0 - cx, -1.0))):
                weight = np.exp(-0.5 * (((x - centre) / sx) ** 2 + ((y - cy) / sy) ** 2))
                out[index, side, :, 0] += weight * dx * sign
                out[index, side, :, 1] += weight * dy
    return out


LID_FIELDS = ("outer_x", "outer_y", "inner_x", "inner_y", "up", "low", "iris_x", "iris_y")
"""Parameters of one drawn eye: its corners, the height of the upper and lower lid over them, the iris centre."""

LIP_FIELDS = (
    "left_x", "left_y", "right_x", "right_y", "bow", "open_up_left", "open_up_right", "open_down", "upper_left",
    "upper_right", "lower_left", "lower_right", "tighten", "press", "smile", "pout",
)  # fmt: skip
"""Parameters of the drawn mouth: corners, middle of the parting line below them, opening, thickness, and how lips
look."""

OUTER_TIP = 0.08
"""The drawn slit runs on beyond the outer corner, by this share of the eye: trackers mark where an eye visibly opens."""

EYE_CORNERS = np.array([[[52.0, 65.2], [83.0, 66.0]], [[148.0, 65.2], [117.0, 66.0]]])
"""[side, (outer, inner), 2] canonical points."""
MOUTH_POINTS = np.array([[74.0, 132.0], [126.0, 132.0], [100.0, 132.0]])
"""Mouth corners and the middle of the parting line."""


def _au(drive: np.ndarray, au: int) -> np.ndarray:
    return drive[:, AUS.index(au)]


def lids(
    drive: np.ndarray, corners: np.ndarray, person: dict[str, float], blink: np.ndarray, gaze: np.ndarray
) -> np.ndarray:
    """Returns the drawn eyes.

    Args:
      drive: [T, len(DRIVERS), 2].
      corners: [T, 2 sides, 2 (outer, inner), 2] moved eye corners.
      person: the identity's scalars (`lid_open`, `lid_low`).
      blink: [T] 0 open to 1 closed.
      gaze: [T, 2] shift of the irises, canonical units.

    Returns:
      [T, 2, len(LID_FIELDS)] float64.

    Example:
      >>> drive, corners, person = np.zeros((2, len(DRIVERS), 2)), np.stack([EYE_CORNERS] * 2), {"lid_open": 1.0, "lid_low": 1.0}
      >>> eyes = lids(drive, corners, person, blink=np.array([0.0, 1.0]), gaze=np.zeros((2, 2)))
      >>> (eyes[..., LID_FIELDS.index("up")] + eyes[..., LID_FIELDS.index("low")]).round(1).tolist()  # open, then closed
      [[10.6, 10.6], [0.3, 0.3]]
    """
    squeeze = 1 - np.exp(-1.5 * (_au(drive, 7) + 0.0))
    raise_cheek = 1 - np.exp(-1.5 * _au(drive, 6))
    up = (
        6.2
        * person["lid_open"]
        * (1 - 0.42 * squeeze - 0.16 * raise_cheek - 0.12 * _au(drive, 4) + 0.10 * _au(drive, 1))
    )
    low = 4.4 * person["lid_low"] * (1 - 0.85 * squeeze) * (1 - 0.75 * raise_cheek) * (1 - 0.15 * _au(drive, 12))
    low = low - 0.8 * squeeze  # the tightened lower lid runs straight, then a little upwards
    up = np.maximum(up, -low + 1.6)
    up = up * (1 - blink[:, None]) + (0.3 - low) * blink[:, None]
    centre = corners.mean(2)
    iris = centre + gaze[:, None, :] + np.array([0.0, -1.0])
    return np.concatenate([corners.reshape(len(drive), 2, 4), up[..., None], low[..., None], iris], axis=2)


def lips(drive: np.ndarray, points: np.ndarray, person: dict[str, float]) -> np.ndarray:
    """Returns the drawn mouth.

    Args:
      drive: [T, len(DRIVERS), 2].
      points: [T, 3, 2] moved `MOUTH_POINTS`.
      person: the identity's scalars (`upper_lip`, `lower_lip`, `smile_teeth`).

    Returns:
      [T, len(LIP_FIELDS)] float64.

    Example:
      >>> drive, points = np.zeros((2, len(DRIVERS), 2)), np.stack([MOUTH_POINTS] * 2)
      >>> drive[1, DRIVERS.index("jaw")] = 1.0
      >>> mouth = lips(drive, points, {"upper_lip": 1.0, "lower_lip": 1.0, "smile_teeth": 1.0})
      >>> mouth[:, LIP_FIELDS.index("open_down")].tolist()
      [0.0, 11.0]
    """
    raise_, pull, chin = _au(drive, 10), _au(drive, 12), _au(drive, 17)
    tighten, press = np.minimum(_au(drive, 23), 1.4), np.minimum(_au(drive, 24), 1.4)
    jaw = drive[:, len(AUS)].mean(1)
    shut = (1 - 0.65 * np.minimum(tighten, 1)) * (1 - 0.98 * np.minimum(press, 1)) * (1 - 0.85 * np.minimum(chin, 1))
    smile = pull.mean(1)
    open_up = (5.2 * raise_ + 2.6 * person["smile_teeth"] * smile[:, None] ** 1.5) * shut
    open_down = (11.0 * jaw + 1.2 * raise_.mean(1) + 3.6 * person["smile_teeth"] * smile**1.5) * shut.mean(1)
    thin = 1 - 0.30 * np.minimum(tighten, 1) * 1.6 - 0.0 * press
    flat = 1 - 0.68 * np.minimum(press, 1.2)
    upper = 8.6 * person["upper_lip"] * thin * flat * (1 - 0.22 * smile[:, None]) * (1 + 0.10 * raise_)
    lower = 13.2 * person["lower_lip"] * thin * flat * (1 - 0.20 * smile[:, None]) * (1 + 0.12 * chin)
    bow = points[:, 2, 1] - points[:, :2, 1].mean(1)
    bow = bow * (1 - 0.5 * np.minimum(press.mean(1), 1))
    columns = [
        points[:, 0, 0],
        points[:, 0, 1],
        points[:, 1, 0],
        points[:, 1, 1],
        bow,
        open_up[:, 0],
        open_up[:, 1],
        open_down,
    ]
    columns += [np.maximum(v, 1.2) for v in (upper[:, 0], upper[:, 1], lower[:, 0], lower[:, 1])]
    columns += [tighten.mean(1), press.mean(1), smile, chin.mean(1)]
    return np.stack(columns, axis=1)


def lip_curves(mouth, s, xp=np):
    """Returns the five curves of the mouth over its width: outer upper, inner upper, parting, inner lower, outer lower.

    Args:
      mouth: sequence of len(LIP_FIELDS) arrays that broadcast with `s` (of the same rank, or scalars).
      s: position along the mouth, 0 at the corner of smaller x, 1 at the other; clipped to that range.
      xp: numpy or jax.numpy.

    Returns:
      five arrays of y, canonical units.

    Example:
      >>> mouth = (74.0, 132.0, 126.0, 132.0, 0.0, 0.0, 0.0, 2.0, 6.0, 6.0, 8.0, 8.0, 0.0, 0.0, 0.0, 0.0)
      >>> [round(float(y), 1) for y in lip_curves(mouth, 0.0)]  # all meet in the corner
      [132.0, 132.0, 132.0, 132.0, 132.0]
      >>> [round(float(y), 1) for y in lip_curves(mouth, 0.5)]  # open by 2 at the middle
      [126.6, 131.7, 132.0, 134.3, 142.3]
    """
    _, left_y, _, right_y, bow, up_l, up_r, down, th_ul, th_ur, th_ll, th_lr = mouth[:12]
    s = xp.clip(s, 0.0, 1.0)
    arch = 4.0 * s * (1.0 - s)
    arch_root = xp.sqrt(arch)
    body = xp.sqrt(arch * arch_root)  # arch ** .75: full lips that close steeply at the corners
    wave = xp.sin(6.2831853 * s)
    parting = left_y + (right_y - left_y) * s + bow * arch - 0.7 * wave * wave
    up = (up_l + (up_r - up_l) * s) * body + 0.3 * arch
    low = down * body + 0.3 * arch
    dip = xp.exp(-(((s - 0.5) / 0.085) ** 2))
    upper = (th_ul + (th_ur - th_ul) * s) * (body - 0.15 * dip)
    lower = (th_ll + (th_lr - th_ll) * s) * body
    return parting - up - upper, parting - up, parting, parting + low, parting + low + lower


def lid_curves(eye, x, xp=np):
    """Returns the upper and lower lid's y at x, and the position along the eye (0 outer corner, 1 inner).

    Args:
      eye: sequence of len(LID_FIELDS) arrays that broadcast with `x`.
      x: canonical x.
      xp: numpy or jax.numpy.

    Example:
      >>> eye = (50.0, 65.0, 80.0, 65.0, 6.0, 4.0)  # corners at a height of 65, lids 6 above and 4 below
      >>> [round(float(value), 2) for value in lid_curves(eye, 63.8)]  # the middle of the slit
      [59.0, 69.0, 0.5]
      >>> [round(float(value), 2) for value in lid_curves(eye, 80.0)]  # the inner corner
      [65.0, 65.0, 1.0]
    """
    outer_x, outer_y, inner_x, inner_y, up, low = eye[:6]
    outer_x = outer_x - OUTER_TIP * (inner_x - outer_x)
    s = xp.clip((x - outer_x) / (inner_x - outer_x), 0.0, 1.0)
    base = outer_y + (inner_y - outer_y) * s
    arch = 4.0 * s * (1.0 - s)
    # The upper lid is highest a little nearer the nose, the lower lid lowest a little nearer the temple.
    upper = base - up * (arch + 0.55 * arch * (1.0 - arch) + 0.18 * arch * (s - 0.5))
    lower = base + low * (arch + 0.45 * arch * (1.0 - arch) - 0.25 * arch * (s - 0.5))
    return upper, lower, s


# Where the landmarks of the lips lie along the mouth, and on which curve of `lip_curves`.
_LIP_KNOTS = [(0, s) for s in (0.0, 0.173, 0.365, 0.5, 0.635, 0.827, 1.0)]
_LIP_KNOTS += [(4, s) for s in (0.856, 0.673, 0.5, 0.327, 0.144)]
_LIP_KNOTS += [(1, s) for s in (0.327, 0.5, 0.673)] + [(3, s) for s in (0.673, 0.5, 0.327)]


def feature_landmarks(eyes: np.ndarray, mouth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the landmarks that lie on drawn curves.

    Args:
      eyes: [T, 2, len(LID_FIELDS)]; mouth: [T, len(LIP_FIELDS)].

    Returns:
      [T, 12, 2] landmarks 19-30 (eyes) and [T, 18, 2] landmarks 31-48 (lips), canonical units.

    Example:
      >>> drive, person = np.zeros((1, len(DRIVERS), 2)), dict.fromkeys(("upper_lip", "lower_lip", "smile_teeth"), 1.0)
      >>> eyes = lids(drive, EYE_CORNERS[None], {"lid_open": 1.0, "lid_low": 1.0}, np.zeros(1), np.zeros((1, 2)))
      >>> eye_points, lip_points = feature_landmarks(eyes, lips(drive, MOUTH_POINTS[None], person))
      >>> eye_points[0, 0].tolist(), lip_points[0, 0].tolist()  # an eye's outer corner, a mouth corner
      ([52.0, 65.2], [74.0, 132.0])
    """
    length = len(mouth)
    eye_points = np.zeros((length, 12, 2))
    for side in range(2):
        fields = [eyes[:, side, i] for i in range(len(LID_FIELDS))]
        outer_x, outer_y, inner_x, inner_y = fields[:4]
        first = 6 * side
        order = [0, 1, 2, 3, 4, 5] if side == 0 else [3, 2, 1, 0, 5, 4]
        places = [(0.0, 0), (0.32, 0), (0.68, 0), (1.0, 0), (0.68, 1), (0.32, 1)]
        for slot, (s, lid) in zip(order, places, strict=True):
            x = outer_x + (inner_x - outer_x) * s
            y = lid_curves(fields, x)[lid] if 0.0 < s < 1.0 else (outer_y if s == 0.0 else inner_y)
            eye_points[:, first + slot] = np.stack([x, y], axis=1)
    fields = [mouth[:, i] for i in range(len(LIP_FIELDS))]
    lip_points = np.zeros((length, 18, 2))
    for slot, (curve, s) in enumerate(_LIP_KNOTS):
        x = fields[0] + (fields[2] - fields[0]) * s
        y = lip_curves(fields, np.full(length, s))[curve]
        lip_points[:, slot] = np.stack([x, y], axis=1)
    return eye_points, lip_points
