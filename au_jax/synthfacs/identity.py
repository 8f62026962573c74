"""Who it is: the bounded random shape, skin, hair and habits of one person."""

import dataclasses
from typing import Any

import numpy as np

from au_jax.synthfacs.expression import DRIVERS, IDENTITY_DRIVERS, NUM_MOVING
from au_jax.synthfacs.presets import AUS
from au_jax.synthfacs.relief import PARTS

# Linear RGB albedo from the lightest to the darkest skin.
_SKIN = np.array(
    [
        [0.80, 0.57, 0.46],
        [0.70, 0.45, 0.33],
        [0.57, 0.34, 0.23],
        [0.40, 0.225, 0.145],
        [0.25, 0.135, 0.085],
        [0.15, 0.08, 0.055],
    ]
)
_HAIR = np.array(
    [[0.018, 0.014, 0.012], [0.035, 0.022, 0.015], [0.09, 0.05, 0.028], [0.17, 0.10, 0.05], [0.38, 0.26, 0.12],
     [0.20, 0.065, 0.025], [0.36, 0.34, 0.32]]
)  # fmt: skip
_IRIS = np.array(
    [
        [0.05, 0.025, 0.012],
        [0.11, 0.055, 0.02],
        [0.13, 0.12, 0.05],
        [0.10, 0.16, 0.22],
        [0.09, 0.15, 0.10],
        [0.14, 0.17, 0.19],
    ]
)


@dataclasses.dataclass(frozen=True)
class Identity:
    """One person. Colours are linear RGB, lengths canonical units.

    Example:
      >>> person = draw_identity(np.random.default_rng(0))
      >>> person.skin.shape, person.au_strength.shape
      ((3,), (12, 2))
      >>> dataclasses.replace(person, glasses=0.9).glasses
      0.9
    """

    shape: np.ndarray  # [len(IDENTITY_DRIVERS), 2 sides] weights of the shape drivers
    relief: np.ndarray  # [len(PARTS), 2] weights of the relief at rest
    scalars: dict[str, float]  # lids and lips at rest, see expression.py
    au_strength: np.ndarray  # [A, 2] how far each AU moves each side of this face, about 1
    furrowing: np.ndarray  # [A, 2] how deep each AU's furrows get, about 1 (grows with age)
    skin: np.ndarray  # [3]
    melanin: float  # 0 light .. 1 dark
    age: float  # 0 young .. 1 old
    redness: float
    freckles: float
    hair_color: np.ndarray  # [3]
    hair: dict[str, float]  # hairline, volume, length, part, fringe, bald
    brow: dict[str, float]  # thickness, darkness
    iris: np.ndarray  # [3]
    lip_color: np.ndarray  # [3]
    lashes: float
    beard: dict[str, float]  # stubble, beard, moustache: 0..1
    glasses: float  # 0 none, else the darkness of the rim
    texture_seed: int


def _bounded(rng: np.random.Generator, size: tuple[int, ...] | int | None = None) -> Any:
    """Normal numbers squeezed into -2..2, an array or one number: nobody is a monster."""
    return 2.0 * np.tanh(rng.standard_normal(size) / 2.0)


def draw_identity(
    rng: np.random.Generator,
    spread: float = 1.0,
    woman: bool | None = None,
    ages: tuple[float, float] = (0.0, 1.0),
    skins: tuple[float, float] = (0.9, 1.1),
) -> Identity:
    """Draws a person.

    Args:
      rng: source of chance.
      spread: 0 gives everybody the mean shape at rest, 1 as people differ.
      woman: narrower jaw, fuller lips, longer hair, no beard; drawn when None.
      ages: youngest and oldest, 0 young to 1 old.
      skins: parameters of the beta distribution of melanin.

    Example:
      >>> person = draw_identity(np.random.default_rng(0), spread=0.0, woman=True)
      >>> bool(person.shape.any()), person.beard["beard"]  # the mean shape, no beard
      (False, 0.0)
    """
    coin = rng.random() < 0.5
    woman = coin if woman is None else woman
    age = ages[0] + (ages[1] - ages[0]) * rng.beta(1.4, 2.2)
    melanin = rng.beta(*skins)
    shape = _bounded(rng, (len(IDENTITY_DRIVERS), 1)) + 0.22 * _bounded(rng, (len(IDENTITY_DRIVERS), 2))
    names = list(IDENTITY_DRIVERS)
    shape[names.index("jaw_width")] += -0.6 if woman else 0.5
    shape[names.index("brow_height")] += 0.4 if woman else -0.4
    shape[names.index("chin_length")] += -0.3 if woman else 0.3
    shape[names.index("nose_width")] += 0.8 * (melanin - 0.4)

    part = {name: np.zeros(2) for name in PARTS}
    side = lambda scale: 1.0 + 0.25 * spread * _bounded(rng, 2) * scale  # noqa: E731
    part["face"] += 1.0
    part["nose"] += 1.0 + 0.14 * spread * _bounded(rng)
    part["brow_ridge"] += spread * 0.5 * _bounded(rng) + (-0.2 if woman else 0.5)
    part["cheekbone"] += spread * 0.55 * _bounded(rng)
    part["fat_cheek"] += spread * 0.4 * _bounded(rng)
    part["chin"] += spread * 0.5 * _bounded(rng)
    part["nose_wing"] += 0.9
    part["lid_crease"] += np.maximum(0.1, 0.8 + 0.45 * spread * _bounded(rng))
    part["lip_border"] += 0.5
    fold = np.maximum(0.0, 0.08 + 0.6 * age + 0.22 * _bounded(rng) * spread)
    part["nasolabial"] += fold * side(1)
    part["nasolabial_low"] += max(0.0, age - 0.35 + 0.2 * spread * _bounded(rng)) * side(1)
    part["eye_bag"] += np.maximum(0.0, 0.08 + 0.6 * age + 0.3 * spread * _bounded(rng)) * side(1)
    part["lower_lid"] += np.maximum(0.0, 0.1 + 0.4 * age + 0.2 * spread * _bounded(rng)) * side(1)
    part["crow"] += np.maximum(0.0, 0.75 * age - 0.2) * side(1)
    part["forehead_mid"] += np.maximum(0.0, 0.7 * age - 0.2 + 0.15 * spread * _bounded(rng))
    part["forehead_side"] += np.maximum(0.0, 0.6 * age - 0.2 + 0.15 * spread * _bounded(rng))
    part["glabella"] += np.maximum(0.0, 0.6 * age - 0.15 + 0.2 * spread * _bounded(rng)) * side(1)
    part["chin_crease"] += np.maximum(0.0, 0.25 + 0.25 * spread * _bounded(rng))
    part["jowl"] += np.maximum(0.0, age - 0.45)
    part["corner_down"] += np.maximum(0.0, 0.45 * age - 0.15 + 0.15 * spread * _bounded(rng))
    part["dimple"] += np.maximum(0.0, 0.12 * spread * _bounded(rng))

    tone = melanin * (len(_SKIN) - 1)
    low = min(int(tone), len(_SKIN) - 2)
    skin = _SKIN[low] + (tone - low) * (_SKIN[low + 1] - _SKIN[low])
    skin = skin * np.array([1.0, 1.0 + 0.05 * rng.standard_normal(), 1.0 + 0.08 * rng.standard_normal()])
    grey = age > 0.6 and rng.random() < 0.7
    dark_hair = (
        np.array([0.35, 0.35, 0.2, 0.1, 0, 0, 0]) if melanin > 0.5 else np.array([0.1, 0.15, 0.25, 0.2, 0.18, 0.12, 0])
    )
    hair_color = _HAIR[6 if grey else rng.choice(7, p=dark_hair / dark_hair.sum())] * (1 + 0.2 * _bounded(rng) * 0.5)
    iris = _IRIS[rng.choice(2) if melanin > 0.5 else rng.choice(6)]
    bald = 0.0 if woman else float(rng.random() < 0.08 + 0.2 * age)
    lip = skin * np.array([0.86, 0.56, 0.58]) + np.array([0.02, 0.0, 0.005])
    lipstick = rng.random() if woman and rng.random() < 0.4 else 0.0
    lip = lip * (1 - 0.6 * lipstick) + 0.6 * lipstick * np.array([0.42, 0.05, 0.07])
    length = (
        rng.choice([0.0, 0.5, 1.0], p=[0.1, 0.3, 0.6]) if woman else rng.choice([0.0, 0.5, 1.0], p=[0.85, 0.1, 0.05])
    )
    hairy = 0.0 if woman else rng.random()
    return Identity(
        shape=shape * spread,
        relief=np.stack([part[name] for name in PARTS]),
        scalars={
            "lid_open": float(1.0 + spread * 0.14 * _bounded(rng)),
            "lid_low": float(1.0 + spread * 0.10 * _bounded(rng)),
            "upper_lip": float(
                1.0 + spread * 0.17 * _bounded(rng) + 0.15 * (melanin - 0.45) + (0.06 if woman else -0.06)
            ),
            "lower_lip": float(
                1.0 + spread * 0.14 * _bounded(rng) + 0.12 * (melanin - 0.45) + (0.05 if woman else -0.05)
            ),
            "smile_teeth": float(np.clip(0.6 + 0.7 * rng.standard_normal(), 0.0, 1.6)),
        },
        au_strength=np.clip(1.0 + 0.10 * _bounded(rng, (len(AUS), 2)), 0.6, 1.4),
        furrowing=np.clip((0.75 + 0.5 * age) * (1.0 + 0.18 * _bounded(rng, (len(AUS), 2))), 0.35, 1.6),
        skin=np.clip(skin, 0.04, 0.9),
        melanin=float(melanin),
        age=float(age),
        redness=float(rng.random()),
        freckles=float(max(0.0, rng.normal(-0.3, 0.6)) if melanin < 0.5 else 0.0),
        hair_color=np.clip(hair_color, 0.008, 0.6),
        hair={
            "hairline": float(4.0 + 5.0 * _bounded(rng) - 7.0 * (age > 0.6) * (not woman)),
            "recession": float(0.0 if woman else max(0.0, rng.normal(6.0, 8.0))),
            "volume": float(np.clip(9.0 + 4.0 * _bounded(rng) + 4.0 * woman, 3.0, 22.0) * (1 - 0.75 * bald)),
            "length": float(length * (1 - bald)),
            "part": float(_bounded(rng) * 16.0),
            "fringe": float(max(0.0, rng.normal(-4.0, 9.0)) if woman or length else max(0.0, rng.normal(-8, 6.0))),
            "bald": bald,
            "curl": float(rng.random() ** 2 if melanin < 0.55 else 0.3 + 0.7 * rng.random()),
        },
        brow={
            "thickness": float(np.clip(3.3 + 0.7 * _bounded(rng) + (-0.3 if woman else 0.4), 2.1, 4.8)),
            "darkness": float(np.clip(0.85 + 0.12 * _bounded(rng), 0.6, 0.98)),
        },
        iris=iris * (1 + 0.15 * _bounded(rng)),
        lip_color=np.clip(lip, 0.02, 0.8),
        lashes=float((0.9 if woman else 0.55) + 0.1 * rng.standard_normal()),
        beard={
            "stubble": float(0.0 if woman else rng.random() * 0.7),
            "beard": float(rng.random() * 0.5 + 0.45 if hairy > 0.82 else 0.0),
            "moustache": float(rng.random() * 0.4 + 0.4 if hairy > 0.78 else 0.0),
        },
        glasses=float(rng.random() * 0.6 + 0.35 if rng.random() < 0.13 else 0.0),
        texture_seed=int(rng.integers(2**31)),
    )


def shape_drive(identity: Identity) -> np.ndarray:
    """Returns the [len(DRIVERS), 2] driver weights of the person at rest.

    Example:
      >>> person = draw_identity(np.random.default_rng(0))
      >>> drive = shape_drive(person)
      >>> bool(drive[:NUM_MOVING].any()), bool((drive[NUM_MOVING:] == person.shape).all())  # no AU is active
      (False, True)
    """
    drive = np.zeros((len(DRIVERS), 2))
    drive[NUM_MOVING:] = identity.shape
    return drive


def expression_drive(identity: Identity, intensities: np.ndarray, gain: float, jaw: np.ndarray) -> np.ndarray:
    """Returns the driver weights of a video.

    Args:
      identity: the person.
      intensities: [T, A] in 0..5.
      gain: factor on all AUs.
      jaw: [T] opening of the jaw, 0..1.

    Returns:
      [T, len(DRIVERS), 2] float64.

    Example:
      >>> person = dataclasses.replace(draw_identity(np.random.default_rng(0)), au_strength=np.ones((len(AUS), 2)))
      >>> intensities = 2.5 * (np.array([AUS]) == 12)  # one frame, a smile of half the range
      >>> expression_drive(person, intensities, gain=1.0, jaw=np.zeros(1))[0, AUS.index(12)].tolist()
      [0.5, 0.5]
    """
    drive = np.tile(shape_drive(identity), (len(intensities), 1, 1))
    strength = np.asarray(intensities, np.float64)[:, :, None] / 5.0 * gain * identity.au_strength
    # Beyond E the skin gives way no further: 1.35 is the most that any muscle reaches.
    drive[:, : len(AUS)] = np.where(strength > 0.9, 0.9 + 0.45 * np.tanh((strength - 0.9) / 0.45), strength)
    drive[:, len(AUS)] = np.asarray(jaw)[:, None]
    return drive


# AU -> parts it carves, with depth at intensity E.
_CARVES: dict[int, dict[str, float]] = {
    1: {"forehead_mid": 1.25},
    2: {"forehead_side": 1.25},
    4: {"glabella": 1.5},
    6: {"crow": 1.4, "lower_lid": 1.1, "bulge6": 1.0, "nasolabial": 0.2},
    7: {"lid_pad": 1.1, "bulge7": 1.0},
    10: {"nasolabial_high": 1.15, "bulge10": 1.0, "nose_wing": 0.6},
    12: {"nasolabial": 1.1, "nasolabial_low": 0.5, "bulge12": 1.0},
    14: {"dimple": 1.5, "bulge14": 1.1},
    15: {"corner_down": 1.4, "bulge15": 1.0},
    17: {"chin_crease": 1.2, "bulge17": 1.0, "orange_peel": 1.3},
    23: {"lip_lines": 1.3, "bulge23": 1.0},
    24: {"bulge24": 1.15, "lip_border": 0.5},
}


def relief_weights(identity: Identity, drive: np.ndarray) -> np.ndarray:
    """Returns how much each AU adds to each part of the relief: [T, len(PARTS), 2] float64, zero at rest.

    Example:
      >>> person, drive = draw_identity(np.random.default_rng(0)), np.zeros((2, len(DRIVERS), 2))
      >>> drive[1, AUS.index(12)] = 0.5
      >>> relief_weights(person, drive)[:, PARTS.index("bulge12")].tolist()  # at rest, then smiling
      [[0.0, 0.0], [0.5, 0.5]]
    """
    out = np.zeros((len(drive), len(PARTS), 2))
    for k, au in enumerate(AUS):
        amount = np.maximum(drive[:, k], 0.0)
        for name, depth in _CARVES[au].items():
            # Bulges follow the movement; furrows come late and then fast, as skin folds.
            if name.startswith("bulge"):
                out[:, PARTS.index(name)] += depth * amount
            else:
                out[:, PARTS.index(name)] += depth * identity.furrowing[k] * amount**1.2
    out[:, PARTS.index("lid_crease")] -= 0.5 * drive[:, AUS.index(1)] * identity.relief[PARTS.index("lid_crease")]
    return out
