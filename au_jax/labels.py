"""The action units (AUs) of FACS, and the codes of their labels.

Which AUs a dataset or a run has, and in which order, is its own property: `config.data.aus`, `FaceDataset.aus`,
`FinishedRun.aus`. An array with an AU axis, named A in the docstrings, has one column for each of these. Columns of files
on disk are matched to them by AU number, never by position.
"""

from collections.abc import Iterable

from au_jax.errors import ConfigError

PAPER_AUS: tuple[int, ...] = (1, 2, 4, 6, 7, 10, 12, 14, 15, 17, 23, 24)
"""The 12 AUs of the paper, in the order of its tables; the default of `config.data.aus`."""

PROBABILITY, INTENSITY = "probability", "intensity"
"""What a detector gives beside the scores of its systems: the probability that an AU is present by the last system, and the
expected intensity, 0 to 5, by the head of the system anet_intensity."""

AU_NAMES: dict[int, str] = {
    1: "inner brow raiser",
    2: "outer brow raiser",
    4: "brow lowerer",
    5: "upper lid raiser",
    6: "cheek raiser",
    7: "lid tightener",
    8: "lips toward each other",
    9: "nose wrinkler",
    10: "upper lip raiser",
    11: "nasolabial deepener",
    12: "lip corner puller",
    13: "sharp lip puller",
    14: "dimpler",
    15: "lip corner depressor",
    16: "lower lip depressor",
    17: "chin raiser",
    18: "lip pucker",
    19: "tongue show",
    20: "lip stretcher",
    21: "neck tightener",
    22: "lip funneler",
    23: "lip tightener",
    24: "lip pressor",
    25: "lips part",
    26: "jaw drop",
    27: "mouth stretch",
    28: "lip suck",
    29: "jaw thrust",
    30: "jaw sideways",
    31: "jaw clencher",
    32: "lip bite",
    33: "cheek blow",
    34: "cheek puff",
    35: "cheek suck",
    36: "tongue bulge",
    37: "lip wipe",
    38: "nostril dilator",
    39: "nostril compressor",
    41: "lid droop",
    42: "slit",
    43: "eyes closed",
    44: "squint",
    45: "blink",
    46: "wink",
    51: "head turn left",
    52: "head turn right",
    53: "head up",
    54: "head down",
    55: "head tilt left",
    56: "head tilt right",
    57: "head forward",
    58: "head back",
    59: "head nod",
    60: "head shake",
    61: "eyes turn left",
    62: "eyes turn right",
    63: "eyes up",
    64: "eyes down",
}
"""Names of the AUs and of the head and eye codes (Ekman, Friesen & Hager, FACS 2002); a dataset or run may have any of these."""

PRESENT: int = 1
ABSENT: int = -1
MISSING: int = 0
"""Label codes (int8). A missing label takes part in no loss and in no metric."""


def check_aus(aus: object) -> tuple[int, ...]:
    """Checks the AUs that a config asks for.

    Args:
      aus: value of `config.data.aus`.

    Returns:
      The same as a tuple, in the same order.

    Raises:
      ConfigError: there are none, one comes twice, or FACS has no such AU.

    Example:
      >>> check_aus([5, 9, 12])
      (5, 9, 12)
      >>> check_aus([5, 3])
      Traceback (most recent call last):
      au_jax.errors.ConfigError: config.data.aus has 3; FACS has 1, 2, 4 to 39, 41 to 46 and 51 to 64
    """
    remedy = 'give AU numbers, each once, such as --config.data.aus="(1, 2, 12)"'
    if not isinstance(aus, (tuple, list)) or not aus:
        raise ConfigError(f"config.data.aus is {aus!r}; {remedy}")
    for au in aus:
        if au not in AU_NAMES:
            raise ConfigError(f"config.data.aus has {au!r}; FACS has 1, 2, 4 to 39, 41 to 46 and 51 to 64")
        if list(aus).count(au) > 1:
            raise ConfigError(f"config.data.aus has {au} twice; {remedy}")
    return tuple(int(au) for au in aus)


def listed(aus: Iterable[int]) -> str:
    """AU numbers as text, for messages.

    Example:
      >>> listed((1, 2, 12))
      '1, 2, 12'
    """
    return ", ".join(str(au) for au in aus)
