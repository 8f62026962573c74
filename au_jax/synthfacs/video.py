"""Videos: who is in them, how long they are, and their frames with labels and landmarks, chunk by chunk."""

import concurrent.futures
import dataclasses
import functools
import zlib
from collections.abc import Callable, Iterator

import jax
import numpy as np
from jaxtyping import Bool, Float32, Int8, Int32, UInt8

from au_jax.cores import usable_cores
from au_jax.faces.registration import TEMPLATE, TEMPLATE_SIZE
from au_jax.labels import MISSING, listed
from au_jax.synthfacs import dynamics, habits, scene
from au_jax.synthfacs.identity import Identity, draw_identity, expression_drive
from au_jax.synthfacs.motion import covered, draw_motion, still_motion
from au_jax.synthfacs.presets import AUS, SCENE_WIDTH, Preset
from au_jax.synthfacs.renderer import constants, render_frames, texel_for
from au_jax.synthfacs.skin import static_texture

_BATCH = 8  # frames drawn at once: few enough to stay in the cache of a core
VIEWS = ("registered", "scene")
_COVERED_TOO_FAR = 0.55  # share of hidden landmarks from which a tracker loses the face


@dataclasses.dataclass(frozen=True)
class VideoChunk:
    """Consecutive frames of one video; A stands for the AUs of `synthfacs.AUS`, in their order.

    Attributes:
      frames: [T, size, size, 3] uint8 RGB.
      labels: [T, A] int8 in {-1, 0, +1}; 0 where not coded or not found.
      landmarks: [T, 49, 2] float32, x then y, pixels of `frames`, with the tracker's error.
      found: [T] bool, False where the tracker lost the face.
      intensities: [T, A] float32, 0..5, as the coder sees them.
      frame_numbers: [T] int32, from 1.

    Example:
      >>> chunk = VideoChunk(
      ...     frames=np.zeros((3, 40, 40, 3), np.uint8), labels=np.ones((3, len(AUS)), np.int8),
      ...     landmarks=np.zeros((3, 49, 2), np.float32), found=np.array([True, True, False]),
      ...     intensities=np.zeros((3, len(AUS)), np.float32), frame_numbers=np.arange(1, 4, dtype=np.int32),
      ... )
      >>> chunk.frame_numbers[~chunk.found].tolist()  # where the tracker lost the face
      [3]
    """

    frames: UInt8[np.ndarray, "T S S 3"]
    labels: Int8[np.ndarray, "T A"]
    landmarks: Float32[np.ndarray, "T 49 2"]
    found: Bool[np.ndarray, " T"]
    intensities: Float32[np.ndarray, "T A"]
    frame_numbers: Int32[np.ndarray, " T"]


def _generator(preset: Preset, seed: int, *place: int) -> np.random.Generator:
    """A stream of chance of its own for every (preset's name, seed, place)."""
    entropy = [zlib.crc32(preset.name.encode()), seed, *place]
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(entropy)))


def subject_names(preset: Preset) -> list[str]:
    """Returns the subjects' names in order: S001, ..., or F001.., M001.. in BP4D's proportions (23 women of 41).

    Example:
      >>> from au_jax.synthfacs import get_preset
      >>> subject_names(get_preset("tiny")), subject_names(get_preset("bp4d_like"))[22:24]
      (['S001', 'S002', 'S003', 'S004', 'S005', 'S006'], ['F023', 'M001'])
    """
    if preset.subject_prefix == "FM":
        women = round(preset.subjects * 23 / 41)
        return [f"F{i + 1:03d}" for i in range(women)] + [f"M{i + 1:03d}" for i in range(preset.subjects - women)]
    return [f"{preset.subject_prefix}{i + 1:03d}" for i in range(preset.subjects)]


def video_names(preset: Preset, subject: str) -> list[str]:
    """Returns the names of a subject's videos: T1, T2, ...

    Raises:
      ValueError: the preset has no such subject.

    Example:
      >>> from au_jax.synthfacs import get_preset
      >>> video_names(get_preset("tiny"), "S001")
      ['T1', 'T2']
    """
    _index(subject_names(preset), subject, f"preset {preset.name!r} has no subject")
    return [f"T{i + 1}" for i in range(preset.videos_per_subject)]


def _index(names: list[str], name: str, text: str) -> int:
    if name not in names:
        raise ValueError(f"{text} {name!r}; it has {names[0]} to {names[-1]}")
    return names.index(name)


def _places(preset: Preset, subject: str, video: str) -> tuple[int, int]:
    person = _index(subject_names(preset), subject, f"preset {preset.name!r} has no subject")
    take = _index(video_names(preset, subject), video, f"subject {subject!r} of preset {preset.name!r} has no video")
    return person, take


def video_length(preset: Preset, seed: int, subject: str, video: str) -> int:
    """Returns the number of frames of a video.

    Raises:
      ValueError: the preset has no such subject or video.

    Example:
      >>> from au_jax.synthfacs import get_preset
      >>> video_length(get_preset("tiny"), 0, "S001", "T1")
      21
    """
    person, take = _places(preset, subject, video)
    spread = _generator(preset, seed, person, take, 1).uniform(-1, 1) * preset.length_spread
    return max(2, round(preset.frames_per_video * (1 + spread)))


@functools.lru_cache(maxsize=64)
def subject_identity(preset: Preset, seed: int, subject: str) -> Identity:
    """Returns the person behind a subject's name."""
    person = _index(subject_names(preset), subject, f"preset {preset.name!r} has no subject")
    woman = subject.startswith("F") if preset.subject_prefix == "FM" else None
    chance = _generator(preset, seed, person, 0, 0)
    return draw_identity(chance, preset.identity_spread, woman, preset.age, preset.skin)


@functools.lru_cache(maxsize=4)
def _texture(preset: Preset, seed: int, subject: str, texel: float) -> np.ndarray:
    return static_texture(subject_identity(preset, seed, subject), texel)


@dataclasses.dataclass(frozen=True)
class _Plan:
    """How a view of a size is drawn."""

    size: int  # pixels
    unit: float  # canonical units of a pixel
    texel: float  # canonical units between texels
    step: int  # pixels between points of the coarse grid
    registered: bool


def _plan(size: int, view: str) -> _Plan:
    if view not in VIEWS:
        raise ValueError(f"synthfacs has no view {view!r}; choose one of {', '.join(VIEWS)}")
    unit = (TEMPLATE_SIZE if view == "registered" else SCENE_WIDTH) / size
    step = max(1, min(4, int(round(5.0 / unit))))
    return _Plan(size, unit, texel_for(unit), step, view == "registered")


def _to_picture(landmarks: np.ndarray, plan: _Plan) -> np.ndarray:
    """[T, 2, 3] maps from camera coordinates to pixels."""
    if plan.registered:
        return scene.registrations(landmarks, plan.size)
    return scene.scene_camera(len(landmarks), plan.size)


def _render(inputs: dict, still: dict, plan: _Plan, where: str, clean: bool = False) -> np.ndarray:
    length = len(inputs["key"])
    parts = []
    for first in range(0, length, _BATCH):
        # The last batch is filled up with the last frame, so that there is one compiled program per size and view.
        rows = np.minimum(np.arange(first, first + _BATCH), length - 1)
        frames = {name: value[rows] for name, value in inputs.items()}
        parts.append(
            render_frames(
                frames, still, constants(plan.texel), size=plan.size, texel=plan.texel, step=plan.step, clean=clean,
                registered=plan.registered,
            )
        )  # fmt: skip
    pictures = np.concatenate([np.asarray(picture) for picture, _ in parts])[:length]
    finite = np.concatenate([np.asarray(ok) for _, ok in parts])[:length]
    if not finite.all():
        raise FloatingPointError(f"{where}: picture {int(np.argmin(finite)) + 1} has pixels that are not finite")
    return pictures


def video_intensities(
    preset: Preset, seed: int, subject: str, video: str
) -> tuple[Float32[np.ndarray, "T A"], Bool[np.ndarray, " T"]]:
    """Draws what a video's face does, without drawing the face.

    Args:
      preset: what to draw.
      seed: which world of people.
      subject: name from `subject_names`.
      video: name from `video_names`.

    Returns:
      [T, A] float32 AU intensities, 0..5, and [T] bool frames without codes.

    Raises:
      ValueError: the preset has no such subject or video.

    Example:
      >>> from au_jax.synthfacs import get_preset
      >>> intensities, missing = video_intensities(get_preset("tiny"), 0, "S001", "T1")
      >>> intensities.shape, missing.shape
      ((21, 12), (21,))
    """
    person, take = _places(preset, subject, video)
    length = video_length(preset, seed, subject, video)
    shifts, strengths = dynamics.people_effects(_generator(preset, seed, 0, 0, 1), preset)
    # Tasks come in opposite pairs, so that a person's few videos together show the person.
    pair = dynamics.correlated(_generator(preset, seed, person, take // 2, 6).standard_normal(len(AUS)))
    intensities = dynamics.simulate(
        _generator(preset, seed, person, take, 2),
        length,
        preset,
        shifts[person],
        strengths[person],
        pair * (-1) ** take,
    )
    return intensities, dynamics.missing_frames(_generator(preset, seed, person, take, 3), length, preset.missing)


def video_codes(
    preset: Preset, seed: int, subject: str, video: str, coder: int = 0
) -> tuple[Float32[np.ndarray, "T A"], Int8[np.ndarray, "T A"]]:
    """Draws how a coder grades a video, without drawing the face.

    Args:
      preset: what to draw.
      seed: which world of people.
      subject: name from `subject_names`.
      video: name from `video_names`.
      coder: 0 is the coder whose labels `render_video` gives; others differ from it by `preset.coder_error`.

    Returns:
      [T, A] float32 intensities as coded, 0..5, and [T, A] int8 labels in {-1, 0, +1}, 0 where nothing is coded.

    Raises:
      ValueError: the preset has no such subject or video.

    Example:
      >>> from au_jax.synthfacs import get_preset
      >>> intensities, labels = video_codes(get_preset("tiny"), 0, "S001", "T1")
      >>> intensities.shape, bool(((labels > 0) <= (intensities >= 1.0)).all())
      ((21, 12), True)
    """
    person, take = _places(preset, subject, video)
    intensities, missing = video_intensities(preset, seed, subject, video)
    chance = _generator(preset, seed, person, take, 7, coder)
    seen = dynamics.coded(chance, intensities, dynamics.LEVELS[preset.level], preset.coder_error, preset.fps)
    return seen, dynamics.to_labels(seen, preset.level, missing)


def render_video(
    preset: Preset,
    seed: int,
    subject: str,
    video: str,
    view: str = "registered",
    size: int | None = None,
    chunk: int = 64,
) -> Iterator[VideoChunk]:
    """Draws a video.

    Args:
      preset: what to draw.
      seed: which world of people.
      subject: name from `subject_names`.
      video: name from `video_names`.
      view: "registered" (the face as registration brings it onto the template, drawn there directly) or "scene".
      size: side of the pictures in pixels; the preset's when None.
      chunk: frames per chunk; the last chunk is shorter.

    Yields:
      VideoChunk, in order. The same arguments always give the same chunks; the frames do not depend on `chunk`.

    Raises:
      ValueError: unknown view or name.
      FloatingPointError: a picture with pixels that are not finite.

    Example (skipped by the tests, as the renderer is compiled first, which takes some seconds):
      >>> from au_jax.synthfacs import get_preset
      >>> chunk = next(render_video(get_preset("tiny"), 0, "S001", "T1"))  # doctest: +SKIP
      >>> chunk.frames.shape, chunk.labels.shape  # doctest: +SKIP
      ((21, 40, 40, 3), (21, 12))
    """
    size = preset.size if size is None else size
    person, take = _places(preset, subject, video)
    length = video_length(preset, seed, subject, video)
    identity = subject_identity(preset, seed, subject)
    plan = _plan(size, view)

    intensities, _ = video_intensities(preset, seed, subject, video)
    seen, codes = video_codes(preset, seed, subject, video)
    habit = _generator(preset, seed, person, 8), _generator(preset, seed, person, take, 8)
    shown = habits.shown(*habit, intensities, preset)
    motion = draw_motion(_generator(preset, seed, person, take, 4), length, preset)
    drive = expression_drive(identity, shown, preset.au_gain, motion.jaw)
    tracks = scene.track(identity, drive, motion)

    hidden = covered(tracks.landmarks, motion.occluder).mean(1)
    found = hidden < _COVERED_TOO_FAR
    error = preset.tracker_error * 65.0 * motion.error * (1.0 + 3.0 * hidden[:, None, None])
    tracked = tracks.landmarks + error + _tracker_bias(preset, seed, person)
    to_picture = _to_picture(tracked, plan)
    landmarks = scene.applied(to_picture, tracked).astype(np.float32)
    labels = np.where(found[:, None], codes, MISSING).astype(np.int8)

    world = _generator(preset, seed, person, take, 5)
    still = scene.still_inputs(
        identity, _texture(preset, seed, subject, plan.texel), world, plan.unit, preset.camera, preset.light
    )
    inputs = scene.frame_inputs(
        identity, drive, motion, tracks, scene.inverted(to_picture), world, plan.unit, preset.light
    )
    still = jax.device_put(still)

    def draw(first: int) -> VideoChunk:
        last = min(first + chunk, length)
        part = {name: value[first:last] for name, value in inputs.items()}
        return VideoChunk(
            frames=_render(part, still, plan, f"synthfacs {preset.name} {subject}/{video}, from frame {first + 1}"),
            labels=labels[first:last],
            landmarks=landmarks[first:last],
            found=found[first:last],
            intensities=seen[first:last],
            frame_numbers=np.arange(first + 1, last + 1, dtype=np.int32),
        )

    yield from _ahead(draw, range(0, length, chunk))


def _tracker_bias(preset: Preset, seed: int, person: int) -> np.ndarray:
    """How a tracker misreads a person's face in every frame, [49, 2] canonical units.

    Only what changes the shape: a shift, turn or scale of all points would register the face differently, and a person
    whose every frame is registered alike is no harder for it.
    """
    bias = preset.tracker_bias * 65.0 * _generator(preset, seed, person, 6).standard_normal((49, 2))
    x, y = (TEMPLATE - TEMPLATE.mean(0)).astype(np.float64).T
    zero, one = np.zeros(49), np.ones(49)
    moves = np.stack([[one, zero], [zero, one], [x, y], [-y, x]]).transpose(2, 1, 0).reshape(98, 4)
    fitted = moves @ np.linalg.lstsq(moves, bias.reshape(98), rcond=None)[0]
    return bias - fitted.reshape(49, 2)


def _ahead(draw: Callable[[int], VideoChunk], starts: range) -> Iterator[VideoChunk]:
    """Draws chunks on all cores, a few ahead of the reader, and hands them out in order."""
    workers = usable_cores()
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        waiting = []
        for start in starts:
            waiting.append(pool.submit(draw, start))
            if len(waiting) > workers:
                yield waiting.pop(0).result()
        for future in waiting:
            yield future.result()


def draw_faces(
    identity: Identity | int,
    expressions: list[dict[int, float]],
    size: int = 200,
    view: str = "registered",
    gain: float = 1.0,
    yaw: float = 0.0,
    pitch: float = 0.0,
    roll: float = 0.0,
    jaw: float = 0.0,
    blink: float = 0.0,
    camera: str = "lab",
    world: int = 0,
    steady: bool = False,
) -> tuple[UInt8[np.ndarray, "N S S 3"], Float32[np.ndarray, "N 49 2"]]:
    """Draws clean pictures of a person with given expressions.

    Args:
      identity: the person, or a seed to draw one from.
      expressions: for each picture, AU number -> intensity 0..5; an empty dict is a neutral face.
      size: as in `render_video`.
      view: as in `render_video`.
      gain: factor on the AUs.
      yaw: radians, as pitch and roll.
      pitch: nodding.
      roll: tilting.
      jaw: 0 closed, 1 open.
      blink: 0 open, 1 closed.
      camera: name in `camera.CAMERAS`.
      world: seed of room, clothes and light.
      steady: register all pictures by the landmarks of the first, so that only what the AUs move moves.

    Returns:
      [N, size, size, 3] uint8 RGB and the true landmarks in them, [N, 49, 2] float32.

    Raises:
      ValueError: unknown view or camera, or an AU that is not in `synthfacs.AUS`.

    Example:
      >>> pictures, landmarks = draw_faces(5, [{}, {12: 4.0}], size=100, steady=True)  # doctest: +SKIP
      >>> pictures.shape, landmarks.shape  # neutral and smiling  # doctest: +SKIP
      ((2, 100, 100, 3), (2, 49, 2))
    """
    if isinstance(identity, int):
        identity = draw_identity(np.random.Generator(np.random.Philox(np.random.SeedSequence([identity, 77]))))
    count = len(expressions)
    rows = np.zeros((count, len(AUS)))
    for row, expression in zip(rows, expressions, strict=True):
        for au, value in expression.items():
            if au not in AUS:
                raise ValueError(f"synthfacs cannot draw AU {au}; it has {listed(AUS)}")
            row[AUS.index(au)] = value
    motion = dataclasses.replace(still_motion(count, yaw, pitch, roll), blink=np.full(count, blink))
    drive = expression_drive(identity, rows, gain, np.full(count, jaw))
    tracks = scene.track(identity, drive, motion)
    plan = _plan(size, view)
    anchors = np.repeat(tracks.landmarks[:1], count, axis=0) if steady else tracks.landmarks
    to_picture = _to_picture(anchors, plan)
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([world, 78])))
    still = scene.still_inputs(identity, static_texture(identity, plan.texel), rng, plan.unit, camera, 1.0)
    inputs = scene.frame_inputs(identity, drive, motion, tracks, scene.inverted(to_picture), rng, plan.unit, 0.0)
    pictures = _render(inputs, still, plan, "draw_faces", clean=True)
    return pictures, scene.applied(to_picture, tracks.landmarks).astype(np.float32)


def draw_face(
    identity: Identity | int,
    intensities: dict[int, float] | None = None,
    size: int = 200,
    view: str = "registered",
    **options,
) -> tuple[UInt8[np.ndarray, "S S 3"], Float32[np.ndarray, "49 2"]]:
    """Draws one picture, [size, size, 3] uint8 RGB, and its landmarks, [49, 2] float32; options as in `draw_faces`.

    Example (skipped by the tests, as the renderer is compiled first, which takes some seconds):
      >>> picture, landmarks = draw_face(5, {6: 3.0, 12: 4.0}, size=200, yaw=0.2)  # doctest: +SKIP
      >>> picture.shape, landmarks.shape  # doctest: +SKIP
      ((200, 200, 3), (49, 2))
    """
    pictures, landmarks = draw_faces(identity, [intensities or {}], size, view, **options)
    return pictures[0], landmarks[0]
