"""What the renderer is handed: where a person's points are in every frame, and the arrays of a video for `render_frames`.

Points lie at rest, are moved by the expression, turned with the head, and seen by the camera.
"""

import dataclasses

import numpy as np
from scipy import ndimage

from au_jax.faces.registration import TEMPLATE, TEMPLATE_SIZE
from au_jax.synthfacs import expression
from au_jax.synthfacs.camera import COARSE, camera_vector
from au_jax.synthfacs.expression import EYE_CORNERS, MOUTH_POINTS, NUM_MOVING, movement_basis
from au_jax.synthfacs.identity import Identity, relief_weights, shape_drive
from au_jax.synthfacs.motion import Motion
from au_jax.synthfacs.presets import SCENE_WIDTH
from au_jax.synthfacs.relief import coarse_parts, depth_at
from au_jax.synthfacs.renderer import PIVOT

_SCENE_CENTRE = (0.0, 8.0)
_EXTRA = np.array([[100.0, 148.0], [100.0, 181.0]])  # under the jaw (top of the neck), tip of the chin
_CONTROL = np.concatenate([TEMPLATE.astype(np.float64), EYE_CORNERS.reshape(-1, 2), MOUTH_POINTS, _EXTRA])


@dataclasses.dataclass(frozen=True)
class Tracks:
    """Moving geometry of a video of T frames.

    Example:
      >>> from au_jax.synthfacs.identity import draw_identity
      >>> from au_jax.synthfacs.motion import still_motion
      >>> person = draw_identity(np.random.default_rng(0))
      >>> tracks = track(person, np.stack([shape_drive(person)] * 2), still_motion(2))  # at rest for two frames
      >>> tracks.landmarks.shape, bool((tracks.landmarks[0] == tracks.landmarks[1]).all())
      ((2, 49, 2), True)
    """

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
    """Returns the person's height field at rest on the coarse grid, [h, w] float64.

    Example:
      >>> from au_jax.synthfacs.identity import draw_identity
      >>> rest_depth(draw_identity(np.random.default_rng(0))).shape == (COARSE.height, COARSE.width)
      True
    """
    head, parts = coarse_parts()
    return head + np.tensordot(identity.relief.reshape(-1), parts.reshape(-1, *head.shape), axes=1)


def rotations(angles: np.ndarray) -> np.ndarray:
    """Returns [T, 3, 3] rotations of the head from [T, 3] yaw, pitch, roll (y points down, z to the camera).

    Example:
      >>> rotations(np.array([[0.0, 0.0, np.pi / 2]]))[0].round(6).tolist()  # rolled by a quarter turn
      [[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """
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

    Example:
      >>> from au_jax.synthfacs.identity import draw_identity
      >>> from au_jax.synthfacs.motion import still_motion
      >>> person, drive = draw_identity(np.random.default_rng(0), spread=0.0), np.zeros((2, len(expression.DRIVERS), 2))
      >>> drive[1, expression.DRIVERS.index("AU12")] = 0.8  # neutral, then smiling
      >>> neutral, smiling = track(person, drive, still_motion(2)).landmarks
      >>> bool(smiling[31, 0] < neutral[31, 0]), bool(smiling[37, 0] > neutral[37, 0])  # the mouth corners move apart
      (True, True)
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
    """Returns [2, 2] canonical eye centres of the person at rest.

    Example:
      >>> from au_jax.synthfacs.identity import draw_identity
      >>> eye_centres_at_rest(draw_identity(np.random.default_rng(0), spread=0.0)).round(2).tolist()  # the mean person's
      [[67.5, 65.6], [132.5, 65.6]]
    """
    basis = movement_basis(EYE_CORNERS.reshape(-1, 2))
    moved = EYE_CORNERS.reshape(-1, 2) + np.tensordot(shape_drive(identity), basis, axes=([0, 1], [0, 1]))
    return moved.reshape(2, 2, 2).mean(1)


def registrations(found: np.ndarray, size: int) -> np.ndarray:
    """Returns the [T, 2, 3] similarities from camera coordinates of [T, 49, 2] landmarks to the template at `size`.

    The closed form of `registration.similarity` in two dimensions, for all frames at once.

    Example:
      >>> (registrations(2.0 * TEMPLATE[None], size=200)[0].round(3) + 0.0).tolist()  # landmarks of twice the template's size
      [[0.5, 0.0, 0.0], [0.0, 0.5, 0.0]]
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
    """Returns the [T, 2, 3] map from camera coordinates to pixels of the scene view.

    Example:
      >>> scene_camera(1, size=390).tolist()  # one pixel per unit
      [[[1.0, 0.0, 194.5], [0.0, 1.0, 186.5]]]
    """
    zoom = size / SCENE_WIDTH
    centre = (size - 1) / 2.0
    one = np.array([[zoom, 0.0, centre - zoom * _SCENE_CENTRE[0]], [0.0, zoom, centre - zoom * _SCENE_CENTRE[1]]])
    return np.tile(one, (length, 1, 1))


def inverted(matrices: np.ndarray) -> np.ndarray:
    """Inverts [T, 2, 3] affine maps.

    Example:
      >>> inverted(np.array([[[2.0, 0.0, 4.0], [0.0, 2.0, 6.0]]])).tolist()
      [[[0.5, 0.0, -2.0], [0.0, 0.5, -3.0]]]
    """
    linear = np.linalg.inv(matrices[:, :, :2])
    return np.concatenate([linear, -np.einsum("tij,tj->ti", linear, matrices[:, :, 2])[..., None]], axis=2)


def applied(matrices: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Applies [T, 2, 3] affine maps to [T, N, 2] points.

    Example:
      >>> applied(np.array([[[2.0, 0.0, 4.0], [0.0, 2.0, 6.0]]]), np.array([[[1.0, 1.0]]])).tolist()
      [[[6.0, 8.0]]]
    """
    return np.einsum("tij,tnj->tni", matrices[:, :, :2], points) + matrices[:, None, :, 2]


def _background(rng: np.random.Generator, plain: float) -> np.ndarray:
    """[48, 48, 3] float32 linear colours of an out-of-focus room."""
    picture = np.ones((48, 48, 3)) * rng.uniform(0.06, 0.45) * (1 + 0.25 * rng.uniform(-1, 1, 3) * (1 - 0.5 * plain))
    for _ in range(rng.poisson(1.5 + 5 * (1 - plain))):
        x0, y0 = rng.integers(0, 44, 2)
        picture[y0 : y0 + rng.integers(5, 40), x0 : x0 + rng.integers(3, 20)] *= rng.uniform(0.4, 1.7) * (
            1 + 0.2 * rng.uniform(-1, 1, 3)
        )
    picture *= 1 + 0.15 * ndimage.gaussian_filter(rng.standard_normal((48, 48, 1)), (6, 6, 0)) * 12
    return np.clip(ndimage.gaussian_filter(picture, (1.1, 1.1, 0)), 0.01, 0.8).astype(np.float32)


def still_inputs(
    identity: Identity, texture: np.ndarray, rng: np.random.Generator, unit: float, camera: str, light: float
) -> dict[str, np.ndarray]:
    """Returns the static arrays of a video for `renderer.render_frames`.

    Args:
      identity: the person; texture: from `skin.static_texture`.
      rng: draws room and clothes.
      unit: canonical units of one output pixel; camera: name in `camera.CAMERAS`; light: factor on how lights differ.

    Example:
      >>> from au_jax.synthfacs.identity import draw_identity
      >>> rng, texture = np.random.default_rng(0), np.zeros((1, 1, 8))
      >>> still = still_inputs(draw_identity(rng), texture, rng, unit=5.0, camera="lab", light=1.0)
      >>> still["camera"].tolist(), still["background"].shape
      ([1.0, 1.0, 1.0, 0.0, 1.0, 1.0], (48, 48, 3))
    """
    rest = np.tensordot(shape_drive(identity), movement_basis(COARSE.points()), axes=([0, 1], [0, 1]))
    still = {
        "texture": texture,
        "rest_move": rest,
        "depth": rest_depth(identity).reshape(-1, 1),
        "background": _background(rng, plain=0.8 if camera == "lab" else 0.1),
        "torso": np.array([rng.normal(0, 4.0), 149.0 + rng.normal(0, 5.0)]),
        "cloth": np.clip(rng.uniform(0.02, 0.5) * (1 + 0.7 * rng.uniform(-1, 1, 3)), 0.01, 0.8),
        "neck": 42.0 + 3.0 * identity.shape[:, :].mean(1)[10],
        "skin": identity.skin,
        "iris": identity.iris,
        "lashes": np.clip(identity.lashes, 0.2, 1.0),
        "lips": identity.lip_color,
        "glasses": identity.glasses,
        "eye_centres": eye_centres_at_rest(identity),
        "backlight": 1.0 + 0.3 * light * rng.uniform(-1, 1),
        "camera": camera_vector(camera),
        "unit": unit,
    }
    return {name: np.asarray(value, np.float32) for name, value in still.items()}


def frame_inputs(
    identity: Identity,
    drive: np.ndarray,
    motion: Motion,
    tracks: Tracks,
    to_camera: np.ndarray,
    rng: np.random.Generator,
    unit: float,
    light: float,
) -> dict[str, np.ndarray]:
    """Returns the per-frame arrays of a video for `renderer.render_frames`, each with T rows.

    Example:
      >>> from au_jax.synthfacs.identity import draw_identity
      >>> from au_jax.synthfacs.motion import still_motion
      >>> rng, motion, to_camera = np.random.default_rng(0), still_motion(2), inverted(scene_camera(2, size=72))
      >>> person, drive = draw_identity(rng), np.zeros((2, len(expression.DRIVERS), 2))
      >>> frames = frame_inputs(person, drive, motion, track(person, drive, motion), to_camera, rng, unit=5.0, light=1.0)
      >>> frames["eyes"].shape, frames["light"].shape
      ((2, 2, 8), (2, 3))
    """
    length = len(drive)
    back = np.swapaxes(tracks.rotation, 1, 2)
    key = rng.uniform(1.15, 1.45) - 0.15
    fill = np.clip(rng.uniform(0.30, 0.50) * (1.0 - 0.25 * (light - 1.0)), 0.1, 0.8)
    color = 1.0 + light * rng.normal(0, 0.05) * np.array([1.0, 0.1, -1.0])
    # The operator opens the aperture for darker skin, not all the way.
    brightness = identity.skin @ np.array([0.3, 0.6, 0.1])
    exposure = 0.92 * (0.45 / brightness) ** 0.38 * np.exp(0.08 * light * rng.standard_normal())
    # A hand is one's own or a neighbour's, a lock one's own; a cup can have any colour.
    colors = np.stack([identity.skin * rng.uniform(0.75, 1.15), rng.uniform(0.03, 0.6, 3), identity.hair_color * 1.1])
    frames = {
        "to_camera": to_camera,
        "pose_inverse": np.linalg.inv(tracks.linear),
        "pose_depth": tracks.depth,
        "pose_shift": tracks.shift,
        "scale": motion.scale,
        "neck_top": tracks.neck_top,
        "chin": tracks.chin,
        "drive": drive[:, :NUM_MOVING].reshape(length, -1),
        "relief": relief_weights(identity, drive).reshape(length, -1),
        "eyes": tracks.eyes,
        "mouth": tracks.mouth,
        "light": np.einsum("tij,tj->ti", back, motion.light),
        "view": back[:, :, 2],
        "key": key * motion.key,
        "fill": np.full(length, fill),
        "color": np.tile(color, (length, 1)),
        "exposure": np.full(length, exposure),
        "occluder": motion.occluder,
        "occluder_color": colors[motion.occluder_kind],
        "noise": motion.noise,
        "blur": motion.blur / unit,
    }
    arrays: dict[str, np.ndarray] = {name: np.asarray(value, np.float32) for name, value in frames.items()}
    arrays["noise_key"] = rng.integers(0, 2**32, (length, 2), dtype=np.uint32)
    return arrays
