"""The columns of OpenFace's and py-feat's tables that are not AU scores: head pose, and empty ones for what is not measured.

Their own readers then find what they ask for (py-feat's `read_openface` and `read_feat`). NaN is an unknown value.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Shaped

from au_jax.faces.head_pose import head_pose
from au_jax.faces.tracking import INNER

OPENFACE_INTENSITIES: tuple[int, ...] = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 45)
"""AUs of OpenFace's columns AU.._r."""

OPENFACE_OCCURRENCES: tuple[int, ...] = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 28, 45)
"""AUs of OpenFace's columns AU.._c."""

FEX_EMOTIONS: tuple[str, ...] = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
"""py-feat's columns of emotions."""

_GAZE = (*(f"gaze_{eye}_{axis}" for eye in (0, 1) for axis in "xyz"), "gaze_angle_x", "gaze_angle_y")


def complete_openface(
    columns: Mapping[str, Shaped[np.ndarray, " T"]], landmarks: Shaped[np.ndarray, "T n 2"]
) -> dict[str, np.ndarray]:
    """Adds OpenFace's other columns, in its order: gaze and position empty, head rotation, AUs that are not detected empty.

    `pose_Rx, pose_Ry, pose_Rz` are radians, as in OpenFace; `pitch_degrees, yaw_degrees, roll_degrees` are the same in degrees.

    Args:
      columns: of the table.
      landmarks: [T, 68, 2] pixels, NaN where there is no face.

    Example:
      >>> table = {"frame": np.array([1]), "success": np.array([0]), "x_0": np.zeros(1), "AU12_c": np.array([0])}
      >>> done = complete_openface(table, np.full((1, 68, 2), np.nan))
      >>> list(done)[:3], list(done)[-1], done["AU12_c"].tolist(), np.isnan(done["AU45_c"]).all()
      (['frame', 'success', 'gaze_0_x'], 'AU45_c', [0], np.True_)
    """
    rows = len(landmarks)
    degrees = _pose(landmarks)
    extra = {name: _empty(rows) for name in (*_GAZE, "pose_Tx", "pose_Ty", "pose_Tz")}
    extra |= dict(zip(("pose_Rx", "pose_Ry", "pose_Rz"), np.radians(degrees).T.astype(np.float32), strict=True))
    extra |= _in_degrees(degrees)
    aus = {}
    for ending, listed in (("_r", OPENFACE_INTENSITIES), ("_c", OPENFACE_OCCURRENCES)):
        own = {name for name in columns if name.startswith("AU") and name.endswith(ending) and name[2:-2].isdecimal()}
        for name in sorted(own | {f"AU{au:02d}{ending}" for au in listed}, key=lambda name: int(name[2:-2])):
            aus[name] = columns[name] if name in columns else _empty(rows)
    names = list(columns)
    first = names.index("success") + 1
    others = [name for name in names[first:] if name not in aus]
    points = [name for name in others if name[:2] in ("x_", "y_")]
    rest = [name for name in others if name[:2] not in ("x_", "y_")]
    parts = [{name: columns[name] for name in group} for group in (names[:first], points, rest)]
    return parts[0] | extra | parts[1] | aus | parts[2]


def complete_fex(
    columns: Mapping[str, Shaped[np.ndarray, " T"]], landmarks: Shaped[np.ndarray, "T n 2"]
) -> dict[str, np.ndarray]:
    """Adds py-feat's other columns: head rotation, position and emotions empty, `approx_time` as minutes and seconds.

    `Pitch, Roll, Yaw` are radians by the convention of py-feat 2.1: positive when the face looks up, tilts to the person's right
    and turns to the person's right; `pitch_degrees, yaw_degrees, roll_degrees` are those of `complete_openface`.

    Args:
      columns: of the table, "timestamp" among them.
      landmarks: [T, 68, 2] pixels, NaN where there is no face.

    Example:
      >>> done = complete_fex({"frame": np.array([0]), "timestamp": np.array([61.5])}, np.full((1, 68, 2), np.nan))
      >>> done["approx_time"].tolist(), list(done)[1:5]
      (['01:01'], ['Pitch', 'Roll', 'Yaw', 'X'])
    """
    rows = len(landmarks)
    degrees = _pose(landmarks)
    pitch, yaw, roll = np.radians(degrees).T.astype(np.float32)
    seconds = np.asarray(columns["timestamp"])
    extra = {
        "Pitch": -pitch,
        "Roll": -roll,
        "Yaw": yaw,
        **{name: _empty(rows) for name in "XYZ"},
        **_in_degrees(degrees),
    }
    extra |= {name: _empty(rows) for name in FEX_EMOTIONS}
    extra["approx_time"] = np.array([f"{int(at // 60):02d}:{int(at % 60):02d}" for at in seconds])
    names = list(columns)
    first = next((place for place, name in enumerate(names) if name.startswith("AU")), 1)
    return {name: columns[name] for name in names[:first]} | extra | {name: columns[name] for name in names[first:]}


def _pose(landmarks: np.ndarray) -> np.ndarray:
    """[T, 3] pitch, yaw, roll in degrees; NaN of tables without landmarks."""
    if landmarks.shape[1] == 68:
        return head_pose(landmarks[:, list(INNER)].astype(np.float64))
    return np.full((len(landmarks), 3), np.nan)


def _in_degrees(degrees: np.ndarray) -> dict[str, np.ndarray]:
    names = ("pitch_degrees", "yaw_degrees", "roll_degrees")
    return dict(zip(names, degrees.T.astype(np.float32), strict=True))


def _empty(rows: int) -> np.ndarray:
    return np.full(rows, np.nan, np.float32)
