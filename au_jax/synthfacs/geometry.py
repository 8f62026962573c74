"""Where the landmarks are: a person's points at rest, moved by the expression, turned with the head, seen by the
camera."""

import dataclasses

import numpy as np

from au_jax.faces.registration import TEMPLATE, TEMPLATE_SIZE
from au_jax.synthfacs import expression
from au_jax.synthfacs.expression import EYE_CORNERS, MOUTH_POINTS, movement_basis
from au_jax.synthfacs.identity import Identity, shape_drive
from au_jax.synthfacs.motion import Motion
from au_jax.synthfacs.relief import coarse_parts, depth_at
from au_jax.synthfacs.renderer import PIVOT

SCENE_WIDTH = 390.0
"""Width of the camera's picture in view "scene", canonical units at the head's depth."""
_SCENE_CENTRE = (0.0, 8.0)
_EXTRA = np.array([[100.0, 148.0], [100.0, 181.0]])  # under the jaw (top of the neck), tip of the chin
_CONTROL = np.concatenate([TEMPLATE.astype(np.float64), EYE_CORNERS.reshape(-1, 2), MOUTH_POINTS, _EXTRA])


@dataclasses.dataclass(frozen=True)
class Tracks:
    """Moving geometry of a video of T frames."""

    landmarks: np.ndarray  # [T, 49, 2] true landmarks, camera coordinates
    eyes: np.ndarray  # [T, 2, len(LID_FIELDS)] canonical
    mouth: np.ndarray  # [T, len(LIP_FIELDS)] canonical
    linear: np.ndarray  # [T, 2, 2] canonical plane -> camera
    depth: np.ndarray  # [T, 2] camera shift per unit of height
    shift: np.ndarray  # [T, 2] camera position of the pivot
    rotation: np.ndarray  # [T, 3, 3] head -> camera
    neck_top: np.ndarray  # [T, 2] camera
    chin: np.ndarray  # [T] camera y


def rest_depth(identity: Identity) -> np.ndarray:
    """Returns the person's height field at rest on the coarse grid, [h, w] float64."""
    head, parts = coarse_parts()
    return head + np.tensordot(identity.relief.reshape(-1), parts.reshape(-1, *head.shape), axes=1)


def rotations(angles: np.ndarray) -> np.ndarray:
    """Returns [T, 3, 3] rotations of the head from [T, 3] yaw, pitch, roll (y points down, z to the camera)."""
    (cy, cp, cr), (sy, sp, sr) = np.cos(angles).T, np.sin(angles).T
    zero, one = np.zeros_like(cy), np.ones_like(cy)
    yaw = np.stack([cy, zero, sy, zero, one, zero, -sy, zero, cy], -1).reshape(-1, 3, 3)
    pitch = np.stack([one, zero, zero, zero, cp, sp, zero, -sp, cp], -1).reshape(-1, 3, 3)
    roll = np.stack([cr, -sr, zero, sr, cr, zero, zero, zero, one], -1).reshape(-1, 3, 3)
    return roll @ pitch @ yaw


def track(identity: Identity, drive: np.ndarray, motion: Motion) -> Tracks:
    """Follows a video's landmarks and drawn features.

    Args:
      identity: the person.
      drive: [T, len(DRIVERS), 2] from `identity.expression_drive`.
      motion: T frames.
    """
    length = len(drive)
    basis = movement_basis(_CONTROL)
    moved = _CONTROL + np.tensordot(drive, basis, axes=([1, 2], [0, 1]))
    corners = moved[:, 49:53].reshape(length, 2, 2, 2)
    eyes = expression.lids(drive, corners, identity.scalars, motion.blink, motion.gaze)
    mouth = expression.lips(drive, moved[:, 53:56], identity.scalars)
    points = moved[:, :49].copy()
    points[:, 19:31], points[:, 31:49] = expression.feature_landmarks(eyes, mouth)

    height = depth_at(_CONTROL, rest_depth(identity))
    rotation = rotations(motion.angles)
    linear = motion.scale[:, None, None] * rotation[:, :2, :2]
    depth = motion.scale[:, None] * rotation[:, :2, 2]

    def to_camera(where: np.ndarray, z: np.ndarray) -> np.ndarray:
        flat = np.einsum("tij,tnj->tni", linear, where - np.array(PIVOT))
        return flat + depth[:, None] * z[:, None] + motion.shift[:, None]

    return Tracks(
        landmarks=to_camera(points, height[:49]),
        eyes=eyes,
        mouth=mouth,
        linear=linear,
        depth=depth,
        shift=motion.shift,
        rotation=rotation,
        neck_top=to_camera(moved[:, 56:57], np.array([-30.0]))[:, 0],
        chin=to_camera(moved[:, 57:58], np.array([30.0]))[:, 0, 1],
    )


def eye_centres_at_rest(identity: Identity) -> np.ndarray:
    """Returns [2, 2] canonical eye centres of the person at rest."""
    basis = movement_basis(EYE_CORNERS.reshape(-1, 2))
    moved = EYE_CORNERS.reshape(-1, 2) + np.tensordot(shape_drive(identity), basis, axes=([0, 1], [0, 1]))
    return moved.reshape(2, 2, 2).mean(1)


def registrations(found: np.ndarray, size: int) -> np.ndarray:
    """Returns the [T, 2, 3] similarities from camera coordinates of [T, 49, 2] landmarks to the template at `size`.

    The closed form of `registration.similarity` in two dimensions, for all frames at once.
    """
    target = TEMPLATE.astype(np.float64) * (size / TEMPLATE_SIZE)
    centre, aim = found.mean(1), target.mean(0)
    source, goal = found - centre[:, None], target - aim
    norm = (source**2).sum((1, 2))
    a = (source * goal).sum((1, 2)) / norm
    b = (source[..., 0] * goal[:, 1] - source[..., 1] * goal[:, 0]).sum(1) / norm
    linear = np.stack([a, -b, b, a], -1).reshape(-1, 2, 2)
    return np.concatenate([linear, (aim - np.einsum("tij,tj->ti", linear, centre))[..., None]], axis=2)


def scene_camera(length: int, size: int) -> np.ndarray:
    """Returns the [T, 2, 3] map from camera coordinates to pixels of the scene view."""
    zoom = size / SCENE_WIDTH
    centre = (size - 1) / 2.0
    one = np.array([[zoom, 0.0, centre - zoom * _SCENE_CENTRE[0]], [0.0, zoom, centre - zoom * _SCENE_CENTRE[1]]])
    return np.tile(one, (length, 1, 1))


def inverted(matrices: np.ndarray) -> np.ndarray:
    """Inverts [T, 2, 3] affine maps."""
    linear = np.linalg.inv(matrices[:, :, :2])
    return np.concatenate([linear, -np.einsum("tij,tj->ti", linear, matrices[:, :, 2])[..., None]], axis=2)


def applied(matrices: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Applies [T, 2, 3] affine maps to [T, N, 2] points."""
    return np.einsum("tij,tnj->tni", matrices[:, :, :2], points) + matrices[:, None, :, 2]
