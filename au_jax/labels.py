"""The action units (AUs) and the codes of their labels.

Every array with an AU axis in this project has the AUs in the order of `AUS`. Columns of files on disk are matched to
that order by AU number, never by position.
"""

from collections.abc import Sequence

from au_jax.errors import UserError

PAPER_AUS: tuple[int, ...] = (1, 2, 4, 6, 7, 10, 12, 14, 15, 17, 23, 24)
"""The 12 AUs of the paper, in the order of its tables; synthfacs draws these."""

AUS: tuple[int, ...] = PAPER_AUS
"""AU numbers of all arrays, in their order. For recordings with other AUs, write theirs here, before anything is prepared:
datasets and runs keep the numbers that they were made with, and are refused under others."""

NUM_AUS: int = len(AUS)

AU_NAMES: dict[int, str] = {
    1: "inner brow raiser",
    2: "outer brow raiser",
    4: "brow lowerer",
    5: "upper lid raiser",
    6: "cheek raiser",
    7: "lid tightener",
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
    20: "lip stretcher",
    22: "lip funneler",
    23: "lip tightener",
    24: "lip pressor",
    25: "lips part",
    26: "jaw drop",
    27: "mouth stretch",
    28: "lip suck",
    43: "eyes closed",
    45: "blink",
}
"""FACS names of AUs, of others than `AUS` as well."""

PRESENT: int = 1
ABSENT: int = -1
MISSING: int = 0
"""Label codes (int8). A missing label takes part in no loss and in no metric."""


def check_aus(found: Sequence[int] | None, what: str) -> None:
    """Refuses what was made with other AUs than `AUS`: its columns would be taken for those of others.

    Args:
      found: AU numbers that it was made with; None: the paper's, of before they were kept.
      what: its name, for the error.

    Raises:
      UserError: says both.
    """
    made = PAPER_AUS if found is None else tuple(found)
    if made != AUS:
        raise UserError(
            f"{what} is of AUs {', '.join(map(str, made))}, where AUS of au_jax/labels.py has {', '.join(map(str, AUS))}; "
            "write its AUs there, or take another"
        )
