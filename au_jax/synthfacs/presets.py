"""Presets of synthfacs: how many people, how long, how large, and how hard."""

import dataclasses
from typing import Any

AUS: tuple[int, ...] = (1, 2, 4, 6, 7, 10, 12, 14, 15, 17, 23, 24)
"""The AUs that synthfacs can draw, in the order of its labels and intensities: those of the paper."""

SCENE_WIDTH = 390.0
"""Width of the camera's picture in view "scene", in units of the template at the head's depth."""

BP4D_RATES: tuple[float, ...] = (0.211, 0.171, 0.203, 0.461, 0.549, 0.594, 0.562, 0.466, 0.169, 0.343, 0.165, 0.151)
"""Base rates of `AUS` in BP4D, in their order (published counts)."""

EVENT_SECONDS: tuple[float, ...] = (1.28, 1.36, 1.28, 3.28, 3.08, 3.48, 4.92, 2.48, 0.76, 0.8, 0.72, 0.96)
"""Median length of an event in BP4D, in seconds (frames of data_formats.md at 25 frames a second)."""


@dataclasses.dataclass(frozen=True)
class Preset:
    """A synthetic dataset: its size and its difficulty. Change a field with `dataclasses.replace`.

    Example:
      >>> preset = Preset("mine", subjects=2, videos_per_subject=1, frames_per_video=50, size=72)
      >>> dataclasses.replace(preset, noise=0.1).noise
      0.1
    """

    name: str
    subjects: int  # people
    videos_per_subject: int
    frames_per_video: int  # mean; the length of a video is within `length_spread` of it
    size: int  # side of the registered face, pixels
    fps: float = 25.0
    level: str = "A"  # intensity from which an AU counts as present: "A" (1) or "B" (2)
    subject_prefix: str = "S"  # "S" -> S01, S02, ...; "FM" -> F001.., M001.. as in BP4D
    length_spread: float = 0.15  # videos are between (1 - x) and (1 + x) times frames_per_video long

    # What happens
    rates: tuple[float, ...] = BP4D_RATES  # share of frames in which each AU is present
    event_seconds: tuple[float, ...] = EVENT_SECONDS  # median event; sets the time constants
    rest_seconds: tuple[float, float] = (0.3, 1.2)  # the opening at rest, shortest and longest
    subject_effect: float = 0.25  # share of the latent variance that belongs to the person
    video_effect: float = 0.15  # share that belongs to the video (the task)
    amplitude_spread: float = 0.25  # log standard deviation of a person's strength, per AU
    missing: float = 0.05  # share of frames without labels, in bursts of 4 to 50
    talking: float = 0.15  # share of the time in which the jaw moves (no AU of the twelve)
    blinks: float = 0.25  # blinks a second
    faintness: float = 1.0  # above 1, intensities crowd just over `level`; labels stay as they are
    coder_error: float = (
        0.0  # how far coders differ on faint AUs and in their timing (`dynamics.coded`); labels are a coder's
    )
    resting: float = 0.0  # half-normal scale of what a face shows of each AU at rest, in units of intensity; not coded
    uncoded: float = 0.0  # the same, coming and going
    mixing: float = 0.0  # standard deviation of the share of an AU's movement that a person gives to each AU nearby

    # How it looks
    au_gain: float = 1.0  # factor on every AU's movement and wrinkles
    identity_spread: float = 1.0  # 0: everybody has the mean face at rest; 1: as people differ
    age: tuple[float, float] = (0.0, 1.0)  # youngest and oldest; 0 is 18 years, 1 about 70
    skin: tuple[float, float] = (0.9, 1.1)  # parameters of the beta distribution of melanin, 0 light to 1 dark
    pose: float = 1.0  # factor on head rotation and shift
    light: float = 1.0  # factor on how far light direction, contrast and colour vary between videos and frames
    tracker_error: float = 0.012  # landmark error, share of the inter-ocular distance
    tracker_bias: float = 0.0  # its part that stays with a person: a tracker misreads the same face in the same way
    occlusion_rate: float = 0.12  # occlusions a second (each 4 to 13 frames)
    noise: float = 0.02  # sensor noise, standard deviation at mid grey (1 = white), independent between frames
    blur: float = 0.5  # Gaussian blur of a frame, in pixels of a 200-px registered face, independent between frames
    camera: str = "lab"  # "lab" (even light, neutral colours) or "group" (warm, low contrast, soft)
    filmed: bool = (
        False  # drawn as scenes, which a detector, a tracker and registration make faces of; else on the template
    )


_LATER = ("faintness", "coder_error", "resting", "uncoded", "mixing", "age", "skin", "filmed")
"""Fields that came when datasets had been made without them; their defaults change nothing."""


def preset_facts(preset: Preset) -> dict[str, Any]:
    """The fields that decide what a preset draws: all but those of later versions that have no effect.

    Example:
      >>> plain = Preset("mine", subjects=2, videos_per_subject=1, frames_per_video=50, size=72)
      >>> "resting" in preset_facts(plain), preset_facts(dataclasses.replace(plain, resting=0.5))["resting"]
      (False, 0.5)
    """
    neutral = {field.name: field.default for field in dataclasses.fields(Preset) if field.name in _LATER}
    facts = dataclasses.asdict(preset)
    return {name: value for name, value in facts.items() if name not in neutral or value != neutral[name]}


# Many people in clips of five seconds, at a quarter of the usual rate: neighbouring frames say little new, people
# do, and the LSTM stack learns from the number of videos. The tracker is poor, several times dlib's error on
# clean faces, and misreads a person in a person's own way: what is measured at its landmarks suffers, a whole
# registered face hardly. Difficulty was chosen on render seed 0 so that HOG+SVM does not beat the small CNN.
_DEMO = Preset(
    "demo",
    subjects=500,
    videos_per_subject=1,
    frames_per_video=34,
    size=72,
    fps=6.25,
    rest_seconds=(0.5, 1.2),
    au_gain=1.35,
    identity_spread=0.5,
    tracker_error=0.07,
    tracker_bias=0.15,
    noise=0.08,
    blur=1.5,
)

CLEAR = Preset(
    "bp4d_like",
    subjects=41,
    videos_per_subject=8,
    frames_per_video=450,
    size=200,
    subject_prefix="FM",
    length_spread=0.5,
)
"""BP4D's people, lengths and base rates with clear faces, as `bp4d_like` was before it was made hard: for pictures that are
to show something, and for tests of trackers and file formats."""

_CLEAR_GROUP = Preset(
    "gft_like",
    subjects=50,
    videos_per_subject=1,
    frames_per_video=5000,
    size=200,
    fps=30.0,
    level="B",
    subject_prefix="G",
    length_spread=0.05,
    rates=tuple(rate / 2 for rate in BP4D_RATES),
    talking=0.4,
    pose=1.7,
    light=1.3,
    tracker_error=0.017,
    occlusion_rate=0.3,
    noise=0.026,
    blur=1.5,
    camera="group",
)

_HARD = dataclasses.replace(CLEAR, age=(0.0, 0.2), skin=(1.2, 2.8), filmed=True, faintness=1.5, coder_error=0.8)

PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset("tiny", subjects=6, videos_per_subject=2, frames_per_video=24, size=40, rest_seconds=(0.08, 0.16)),
        _DEMO,
        # The demo's faces, fewer of them and each for five minutes: what a person's past is worth to the LSTM.
        dataclasses.replace(_DEMO, name="long", subjects=48, frames_per_video=1875),
        # The same without an opening at rest, which tells a person's level by itself.
        dataclasses.replace(_DEMO, name="long_no_rest", subjects=48, frames_per_video=1875, rest_seconds=(0.0, 0.0)),
        # As hard as BP4D and GFT, by the protocol of docs/explanation/how-hard.md; both at a hardness of 0.
        _HARD,
        dataclasses.replace(_CLEAR_GROUP, age=(0.0, 0.2), skin=(1.0, 4.0), filmed=True, faintness=2.0, coder_error=0.5),
        # The people of bp4d_like, in recordings as those of "long".
        dataclasses.replace(
            _HARD,
            name="long_hard",
            subjects=48,
            videos_per_subject=1,
            frames_per_video=1875,
            size=72,
            fps=6.25,
            length_spread=0.15,
            subject_prefix="S",
        ),
    )
}
"""The presets by name."""


def get_preset(name: str) -> Preset:
    """Returns the preset of that name.

    Raises:
      ValueError: there is none; the message lists the names.

    Example:
      >>> get_preset("bp4d_like").subjects
      41
    """
    if name not in PRESETS:
        raise ValueError(f"synthfacs has no preset {name!r}; choose one of {', '.join(sorted(PRESETS))}")
    return PRESETS[name]
