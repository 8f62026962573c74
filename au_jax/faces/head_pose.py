"""Head pose from 49 landmarks: how a mean face has to be turned, scaled and shifted so that it lies on them.

The camera is taken as scaled orthographic, as faces are shallow beside their distance. Angles are OpenFace's `pose_Rx, Ry, Rz`
(Baltrusaitis et al., "OpenFace 2.0", FG 2018): x points to the right of the picture, y down, z away from the camera, and the
rotation is Rx Ry Rz. Pitch is positive when the face looks down, yaw when it turns to the left of the picture (the person's
right), roll when it tilts clockwise in the picture. 0 is a face that looks along the camera's axis.
"""

import numpy as np
from jaxtyping import Float, Float64

from au_jax.faces.registration import TEMPLATE

# Depth of the template's landmarks towards the camera, in its pixels (about millimetres): the mean face at rest that
# `au_jax.synthfacs` was modelled with. The half at smaller x, and the midline.
_BROW, _BRIDGE, _NOSE_BASE = (54.5, 69.6, 81.1, 88.8, 93.7), (96.8, 103.6, 107.2, 107.1), (87.8, 89.8, 91.1)
_LEFT_EYE, _RIGHT_EYE = (68.2, 76.9, 82.8, 84.2, 85.6, 79.7), (84.2, 82.8, 76.9, 68.2, 79.7, 85.6)
_LIPS = (70.7, 79.6, 84.8, 85.1, 84.8, 79.6, 70.7, 70.8, 70.8, 71.1, 70.8, 70.8)
_INNER_LIPS = (81.5, 82.6, 81.5, 80.9, 82.0, 80.9)
# What expressions move counts less: brows, lids, and lips most of all.
_WEIGHTS = np.repeat([0.3, 1.0, 0.5, 0.5, 0.3], [10, 4, 5, 12, 18])
_ITERATIONS = 10


def _model() -> np.ndarray:
    depth = (
        *_BROW,
        *_BROW[::-1],
        *_BRIDGE,
        *_NOSE_BASE,
        *_NOSE_BASE[1::-1],
        *_LEFT_EYE,
        *_RIGHT_EYE,
        *_LIPS,
        *_INNER_LIPS,
    )
    return np.concatenate([TEMPLATE.astype(np.float64), -np.array(depth)[:, None]], axis=1)


MODEL: np.ndarray = _model()
"""[49, 3] float64: the mean face, x to the right, y down, z away from the camera, in pixels of the 200-px template."""


def head_pose(landmarks: Float[np.ndarray, "T 49 2"]) -> Float64[np.ndarray, "T 3"]:
    """Head pose of faces.

    Args:
      landmarks: [T, 49, 2] pixels, x then y, in the order of `au_jax.faces.registration`; NaN where there is no face.

    Returns:
      [T, 3] pitch, yaw, roll in degrees, by the convention of this module; NaN where there is no face, or all points are one.

    Example:
      >>> still = MODEL[None, :, :2]
      >>> tilted = still @ np.array([[0.0, 1.0], [-1.0, 0.0]])  # by a quarter turn, clockwise as y points down
      >>> (head_pose(np.concatenate([still, tilted, still * np.nan])).round(3) + 0.0).tolist()
      [[0.0, 0.0, 0.0], [0.0, 0.0, 90.0], [nan, nan, nan]]
    """
    poses = np.full((len(landmarks), 3), np.nan)
    # Points that coincide tell nothing.
    known = np.isfinite(landmarks).all((1, 2)) & (np.ptp(landmarks, axis=1).min(-1) > 1e-6)
    if known.any():
        poses[known] = np.degrees(euler_angles(_fitted(np.asarray(landmarks, np.float64)[known])))
    return poses


def euler_angles(rotations: Float[np.ndarray, "T 3 3"]) -> Float64[np.ndarray, "T 3"]:
    """The angles about x, y and z, radians, of rotations Rx Ry Rz.

    Example:
      >>> quarter = np.array([[[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]])  # about x
      >>> euler_angles(quarter).round(4).tolist()
      [[1.5708, 0.0, 0.0]]
    """
    x = np.arctan2(-rotations[:, 1, 2], rotations[:, 2, 2])
    y = np.arcsin(np.clip(rotations[:, 0, 2], -1, 1))
    z = np.arctan2(-rotations[:, 0, 1], rotations[:, 0, 0])
    return np.stack([x, y, z], axis=1) + 0.0


def _fitted(points: np.ndarray) -> np.ndarray:
    """[T, 3, 3] rotations that bring the model onto [T, 49, 2] points: least squares over rotation, scale and shift."""
    weights = _WEIGHTS / _WEIGHTS.sum()
    model = MODEL - weights @ MODEL
    target = points - np.einsum("n,tnc->tc", weights, points)[:, None]
    # The best affine camera, made a rotation, is a start; its depth column is the least certain.
    affine = np.einsum("tnc,nd->tcd", target * weights[:, None], model) @ np.linalg.pinv((model.T * weights) @ model)
    u, _, vt = np.linalg.svd(affine, full_matrices=False)
    rows = u @ vt
    rotation = np.concatenate([rows, np.cross(rows[:, 0], rows[:, 1])[:, None]], axis=1)
    scale = np.ones(len(points))
    for _ in range(_ITERATIONS):
        turned = np.einsum("tij,nj->tni", rotation, model)
        flat = turned[..., :2]
        scale = np.einsum("n,tnc,tnc->t", weights, flat, target) / np.einsum("n,tnc,tnc->t", weights, flat, flat)
        error = target - scale[:, None, None] * flat
        # Of small turns about x, y and z, and of the logarithm of the scale.
        zero = np.zeros_like(turned[..., 0])
        x, y, z = np.moveaxis(turned, -1, 0)
        steps = np.stack([np.stack([zero, -z], -1), np.stack([z, zero], -1), np.stack([-y, x], -1), flat], -1)
        jacobian = scale[:, None, None, None] * steps
        normal = np.einsum("n,tnci,tncj->tij", weights, jacobian, jacobian)
        gradient = np.einsum("n,tnci,tnc->ti", weights, jacobian, error)
        change = np.einsum("tij,tj->ti", np.linalg.pinv(normal, hermitian=True), gradient)
        rotation = _turns(change[:, :3]) @ rotation
    return rotation


def _turns(vectors: np.ndarray) -> np.ndarray:
    """[T, 3, 3] rotations about [T, 3] axes by their lengths, radians (Rodrigues)."""
    angle = np.linalg.norm(vectors, axis=1)[:, None, None]
    x, y, z = vectors.T
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], 1).reshape(-1, 3, 3)
    safe = np.maximum(angle, 1e-12)
    return np.eye(3) + np.sin(angle) / safe * cross + (1 - np.cos(angle)) / safe**2 * cross @ cross
