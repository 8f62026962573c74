"""Subject-exclusive folds: who trains, who validates and who is tested, drawn once and checksummed."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from au_jax import files
from au_jax.errors import UserError


@dataclass(frozen=True)
class Fold:
    """Subjects of one fold; the three groups have nobody in common."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]


def partition(subjects: Sequence[str], parts: int, seed: int) -> list[tuple[str, ...]]:
    """Deals subjects at random into parts whose sizes differ by at most one (paper section IV-B)."""
    order = np.random.default_rng([seed, 0]).permutation(len(subjects))
    return [tuple(sorted(subjects[int(index)] for index in chunk)) for chunk in np.array_split(order, parts)]


def make_folds(partitions: Sequence[Sequence[str]], validation: float, seed: int) -> list[Fold]:
    """Makes a fold of every part as the test subjects, and sets a share of the others aside for validation.

    Raises:
      UserError: a subject stands in two parts; too few subjects to validate and train on.
    """
    everyone = [subject for part in partitions for subject in part]
    doubled = sorted({subject for subject in everyone if everyone.count(subject) > 1})
    if doubled:
        raise UserError(f"subjects {', '.join(doubled)} stand in more than one fold; each may be tested once only")
    folds = []
    for number, test in enumerate(partitions):
        others = [subject for subject in everyone if subject not in test]
        held_out = max(1, round(validation * len(others)))
        if not test or len(others) - held_out < 1:
            raise UserError(
                f"{len(everyone)} subjects are too few for {len(partitions)} folds with training, validation and test; "
                "lower config.protocol.folds"
            )
        order = np.random.default_rng([seed, 1, number]).permutation(len(others))
        chosen = {others[index] for index in order[:held_out]}
        folds.append(
            Fold(
                train=tuple(sorted(set(others) - chosen)),
                validation=tuple(sorted(chosen)),
                test=tuple(sorted(test)),
            )
        )
    return folds


def split_document(folds: Sequence[Fold], seed: int) -> dict[str, Any]:
    """The content of split.json: subjects of every fold, the seed, and a checksum over both."""
    content = {"seed": seed, "folds": [{name: list(group) for name, group in asdict(fold).items()} for fold in folds]}
    return {**content, "checksum": files.checksum(content)}
