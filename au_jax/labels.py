"""The 12 action units (AUs) of the paper and the codes of their labels.

Every array with an AU axis in this project has the AUs in the order of `AUS`. Columns of files on disk are matched to
that order by AU number, never by position.
"""

AUS: tuple[int, ...] = (1, 2, 4, 6, 7, 10, 12, 14, 15, 17, 23, 24)
"""AU numbers, in the order of the paper's tables."""

NUM_AUS: int = len(AUS)

AU_NAMES: dict[int, str] = {
    1: "inner brow raiser",
    2: "outer brow raiser",
    4: "brow lowerer",
    6: "cheek raiser",
    7: "lid tightener",
    10: "upper lip raiser",
    12: "lip corner puller",
    14: "dimpler",
    15: "lip corner depressor",
    17: "chin raiser",
    23: "lip tightener",
    24: "lip pressor",
}
"""FACS names of the AUs."""

PRESENT: int = 1
ABSENT: int = -1
MISSING: int = 0
"""Label codes (int8). A missing label takes part in no loss and in no metric."""
