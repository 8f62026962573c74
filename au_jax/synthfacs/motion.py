"""What else moves in a video: the head, blinks and gaze, talking, light, things in front, and the tracker's error."""

import dataclasses

import numpy as np
from scipy.signal import lfilter
from scipy.special import ndtri

from au_jax.synthfacs.presets import Preset

CAPSULES = 6
"""Rounded cones that make up a thing in front of a face."""
KINDS = ("hand", "cup", "lock")
"""Things that pass in front of a face for some frames: a hand, a cup, a lock of hair."""

# kind: rows of (x0, y0, r0, x1, y1, r1) about the object's own origin, camera units.
_FORMS = {
    "hand": [
        (0, 30, 30, 2, 62, 27), (-21, 18, 10, -33, -38, 7.5), (-6, 10, 10, -11, -54, 8), (11, 10, 10, 12, -52, 8),
        (26, 16, 9, 34, -36, 7), (26, 40, 11, 56, 6, 8.5),
    ],
    "cup": [
        (0, -22, 30, 0, 36, 25), (38, -12, 6, 46, 6, 6), (46, 6, 6, 36, 24, 6), (-10, 44, 20, 6, 70, 22),
        (-30, 4, 9, 22, 6, 9), (-28, 22, 9, 20, 25, 9),
    ],
    "lock": [
        (-4, -70, 9, 2, -45, 10), (2, -45, 10, 8, -20, 11), (8, -20, 11, 9, 5, 10), (9, 5, 10, 4, 30, 8),
        (4, 30, 8, -5, 52, 5), (-5, 52, 5, -16, 66, 2),
    ],
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Motion:
    """Everything but the AUs that changes from frame to frame. T frames.

    Example:
      >>> motion = dataclasses.replace(still_motion(3), blink=np.array([0.0, 1.0, 0.0]))
      >>> motion.blink.tolist(), motion.scale.tolist()
      ([0.0, 1.0, 0.0], [1.0, 1.0, 1.0])
    """

    angles: np.ndarray  # [T, 3] yaw, pitch, roll, radians
    shift: np.ndarray  # [T, 2] of the head in the camera's picture, canonical units
    scale: np.ndarray  # [T]
    blink: np.ndarray  # [T] 0 open .. 1 closed
    gaze: np.ndarray  # [T, 2] canonical units
    jaw: np.ndarray  # [T] 0 closed .. 1 wide open
    key: np.ndarray  # [T] strength of the key light, about 1
    light: np.ndarray  # [T, 3] unit vector to the key light: x right, y down, z to the camera
    occluder: np.ndarray  # [T, CAPSULES, 6] camera coordinates; zeros where there is none
    occluder_kind: np.ndarray  # [T] index into `KINDS`, 0 where there is none
    error: np.ndarray  # [T, 49, 2] smooth standard-normal tracker error
    noise: np.ndarray  # [T] sensor noise
    blur: np.ndarray  # [T] canonical units


def drift(rng: np.random.Generator, length: int, seconds: float, fps: float, size: tuple[int, ...] = ()) -> np.ndarray:
    """Draws [length, *size] smooth unit-variance processes with a time constant in seconds.

    Example:
      >>> wave = drift(np.random.default_rng(0), 5000, 0.4, 25.0)
      >>> wave.shape, bool(0.8 < wave.std() < 1.2)
      ((5000,), True)
    """
    a = np.exp(-1.0 / max(seconds * fps, 1e-3))
    b = np.exp(-1.0 / max(0.4 * seconds * fps, 1e-3))
    warm = int(5 * seconds * fps) + 2
    noise = rng.standard_normal((length + warm, *size))
    wave = lfilter([1.0], [1.0, -(a + b), a * b], noise, axis=0)[warm:]
    p = a * b
    return wave / np.sqrt((1 + p) / ((1 - p) * (1 - a * a) * (1 - b * b)))


def _blinks(rng: np.random.Generator, length: int, fps: float, rate: float) -> np.ndarray:
    out = np.zeros(length)
    frame = np.arange(length)
    for _ in range(rng.poisson(rate * length / fps)):
        middle, half = rng.uniform(0, length), rng.uniform(0.09, 0.16) * fps
        out = np.maximum(out, np.clip(1.25 - 1.25 * np.abs(frame - middle) / half, 0, 1))
    return out


def _talk(rng: np.random.Generator, length: int, fps: float, share: float) -> np.ndarray:
    if share <= 0:
        return np.zeros(length)
    speaks = np.clip(1.5 * (drift(rng, length, 1.2, fps) - ndtri(1 - min(share, 0.99))) + 0.3, 0, 1)
    syllables = np.clip(0.45 + 0.55 * drift(rng, length, 0.09, fps), 0, 1.3)
    return 0.6 * speaks * syllables


def _occlusions(rng: np.random.Generator, length: int, preset: Preset) -> tuple[np.ndarray, np.ndarray]:
    out = np.zeros((length, CAPSULES, 6))
    kinds = np.zeros(length, int)
    frame = np.arange(length)
    for _ in range(rng.poisson(preset.occlusion_rate * length / preset.fps)):
        frames = int(rng.integers(4, 14))
        start = int(rng.integers(0, max(1, length - frames)))
        kind = KINDS[rng.choice(3, p=[0.45, 0.3, 0.25])]
        if kind == "lock":
            goal, way, angle = rng.uniform((-45, -75), (45, -25)), rng.uniform(-0.6, 0.6), rng.uniform(-0.5, 0.5)
            way = way + (np.pi / 2)  # falls from above
            enter = -np.array([np.cos(way), np.sin(way)])
        else:
            goal, way = rng.uniform((-45, -10), (45, 75)), rng.uniform(-0.2, np.pi + 0.2)
            enter = np.array([np.cos(way), np.sin(way)])  # comes from below or the sides
            angle = rng.uniform(-0.9, 0.9) if kind == "hand" else rng.uniform(-0.2, 0.2)
        capsules = occluder_form(kind, angle, rng.uniform(0.75, 1.15))
        t = np.clip((frame - start + 0.5) / frames, 0, 1)
        near = np.clip(3.0 * np.minimum(t, 1 - t), 0, 1)
        near = near * near * (3 - 2 * near)
        active = (frame >= start) & (frame < start + frames)
        position = goal + enter * 110.0 * (1 - near[:, None])
        placed = np.tile(capsules, (length, 1, 1))
        placed[:, :, 0:2] += position[:, None]
        placed[:, :, 3:5] += position[:, None]
        out[active] = placed[active]
        kinds[active] = KINDS.index(kind)
    return out, kinds


def draw_motion(rng: np.random.Generator, length: int, preset: Preset) -> Motion:
    """Draws the motion of one video of `length` frames.

    Example:
      >>> preset = Preset("mine", subjects=2, videos_per_subject=1, frames_per_video=50, size=72, blinks=0.0)
      >>> motion = draw_motion(np.random.default_rng(0), 50, preset)
      >>> motion.angles.shape, float(motion.blink.max())
      ((50, 3), 0.0)
    """
    fps, pose = preset.fps, preset.pose
    base = rng.standard_normal(3) * np.array([0.10, 0.07, 0.04])
    slow = drift(rng, length, 1.6, fps, (3,)) * np.array([0.11, 0.07, 0.05])
    quick = drift(rng, length, 0.35, fps, (3,)) * np.array([0.02, 0.02, 0.008])
    angles = pose * (base + slow + quick)
    limit = np.array([0.42, 0.30, 0.35])
    angles = limit * np.tanh(angles / limit)
    shift = pose * (
        drift(rng, length, 2.0, fps, (2,)) * np.array([6.0, 4.0]) + rng.standard_normal(2) * np.array([8, 5])
    )
    scale = np.exp(pose * 0.02 * drift(rng, length, 2.5, fps)) * np.exp(0.05 * rng.standard_normal())
    looks = np.where(np.abs(drift(rng, length, 0.7, fps, (2,))) > 0.9, 1.0, 0.0) * drift(rng, length, 0.7, fps, (2,))
    gaze = np.clip(looks * np.array([2.6, 1.0]), -4.5, 3.0) - angles[:, :2] * np.array([9.0, 4.0])
    azimuth = preset.light * rng.normal(0, 0.42) + preset.light * 0.05 * drift(rng, length, 3.0, fps)
    height = rng.uniform(0.3, 0.8) + 0.04 * preset.light * drift(rng, length, 3.0, fps)
    light = np.stack([np.sin(azimuth) * np.cos(height), -np.sin(height), np.cos(azimuth) * np.cos(height)], axis=1)
    occluder, kinds = _occlusions(rng, length, preset)
    return Motion(
        angles=angles,
        shift=shift,
        scale=scale,
        blink=_blinks(rng, length, fps, preset.blinks),
        gaze=np.clip(gaze, -5, 5),
        jaw=_talk(rng, length, fps, preset.talking),
        key=np.exp(0.05 * preset.light * drift(rng, length, 1.0, fps)),
        light=light,
        occluder=occluder,
        occluder_kind=kinds,
        error=0.8 * drift(rng, length, 0.35, fps, (49, 2)) + 0.6 * drift(rng, length, 0.8, fps, (1, 2)),
        noise=preset.noise * np.exp(0.3 * rng.standard_normal(length)),
        blur=preset.blur * np.exp(0.45 * rng.standard_normal(length)),
    )


def still_motion(length: int, yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0) -> Motion:
    """Returns a motionless, clean, evenly lit recording of `length` frames with the head turned by the given
    radians.

    Example:
      >>> still_motion(3, yaw=0.2).angles.tolist()
      [[0.2, 0.0, 0.0], [0.2, 0.0, 0.0], [0.2, 0.0, 0.0]]
    """
    one = np.ones(length)
    light = np.array([-0.30, -0.50, 0.81])
    return Motion(
        angles=np.tile(np.array([yaw, pitch, roll]), (length, 1)),
        shift=np.zeros((length, 2)),
        scale=one,
        blink=0 * one,
        gaze=np.zeros((length, 2)),
        jaw=0 * one,
        key=one,
        light=np.tile(light / np.linalg.norm(light), (length, 1)),
        occluder=np.zeros((length, CAPSULES, 6)),
        occluder_kind=np.zeros(length, int),
        error=np.zeros((length, 49, 2)),
        noise=0 * one,
        blur=0 * one,
    )


def occluder_form(kind: str, angle: float, scale: float) -> np.ndarray:
    """Returns [CAPSULES, 6] float64 rows (x0, y0, r0, x1, y1, r1) of an object turned by `angle` (radians) and
    scaled.

    Example:
      >>> occluder_form("hand", angle=0.0, scale=1.0)[0].tolist()  # the palm
      [0.0, 30.0, 30.0, 2.0, 62.0, 27.0]
      >>> occluder_form("hand", angle=0.0, scale=0.5)[0].tolist()
      [0.0, 15.0, 15.0, 1.0, 31.0, 13.5]
    """
    rows = np.array(_FORMS[kind], np.float64) * scale
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[cos, sin], [-sin, cos]])
    for first in (0, 3):
        rows[:, first : first + 2] = rows[:, first : first + 2] @ turn
    return rows


def covered(points: np.ndarray, capsules: np.ndarray) -> np.ndarray:
    """Returns which points an object hides: [..., N] bool from [..., N, 2] points and [..., CAPSULES, 6] cones.

    Example:
      >>> capsule = np.array([[0.0, 0.0, 2.0, 10.0, 0.0, 2.0]])
      >>> covered(np.array([[5.0, 1.0], [5.0, 3.0]]), capsule).tolist()
      [True, False]
    """
    start, end = capsules[..., None, :, 0:2], capsules[..., None, :, 3:5]
    axis = end - start
    along = ((points[..., None, :] - start) * axis).sum(-1) / np.maximum((axis**2).sum(-1), 1e-6)
    along = np.clip(along, 0, 1)
    radius = capsules[..., None, :, 2] * (1 - along) + capsules[..., None, :, 5] * along
    distance = np.linalg.norm(points[..., None, :] - start - along[..., None] * axis, axis=-1)
    return (distance < radius).any(-1)
