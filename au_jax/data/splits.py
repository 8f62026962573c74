"""Subject-exclusive folds: who trains, who validates and who is tested, drawn once and checksummed."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from au_jax import files
from au_jax.errors import UserError

PUBLISHED: dict[str, tuple[tuple[str, ...], ...]] = {
    "bp4d_3fold": tuple(
        tuple(names.split())
        for names in (
            "F001 F002 F008 F009 F010 F016 F018 F023 M001 M004 M007 M008 M012 M014",
            "F003 F005 F011 F013 F020 F022 M002 M005 M010 M011 M013 M016 M017 M018",
            "F004 F006 F007 F012 F014 F015 F017 F019 F021 M003 M006 M009 M015",
        )
    ),
    "disfa_3fold": tuple(
        tuple(f"SN{number}" for number in numbers.split())
        for numbers in (
            "001 002 009 010 016 026 027 030 032",
            "006 011 012 013 018 021 024 028 031",
            "003 004 005 007 008 017 023 025 029",
        )
    ),
}
"""Fold lists that most published work shares, by name (the public code of JAA-Net and ME-GraphAU)."""

SPLITS: tuple[str, ...] = ("random", *PUBLISHED)
"""What `config.protocol.split` may name."""


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


def published_partition(name: str, subjects: Sequence[str]) -> list[tuple[str, ...]]:
    """The parts of a published list of folds.

    Raises:
      UserError: a subject of the dataset stands in no list, or one of a list is not in the dataset: the figures would not
        be comparable with published ones.
    """
    parts = list(PUBLISHED[name])
    listed = {subject for part in parts for subject in part}
    for strangers, where in ((set(subjects) - listed, "dataset only"), (listed - set(subjects), "list only")):
        if strangers:
            raise UserError(
                f"config.protocol.split {name} does not fit the dataset: {', '.join(sorted(strangers))} ({where}); "
                "complete the dataset, or take config.protocol.split=random"
            )
    return parts


def make_folds(partitions: Sequence[Sequence[str]], validation: float, seed: int) -> list[Fold]:
    """Makes a fold of every part as the test subjects, and sets a share of the others aside for validation.

    Raises:
      UserError: a subject stands in two parts; too few subjects to validate and train on, or too large a share.
    """
    everyone = [subject for part in partitions for subject in part]
    doubled = sorted({subject for subject in everyone if everyone.count(subject) > 1})
    if doubled:
        raise UserError(f"subjects {', '.join(doubled)} stand in more than one fold; each may be tested once only")
    folds = []
    for number, test in enumerate(partitions):
        others = [subject for subject in everyone if subject not in test]
        if not test or len(others) < 2:
            raise UserError(
                f"{len(everyone)} subjects are too few for {len(partitions)} folds with training, validation and test; "
                "lower config.protocol.folds"
            )
        chosen, rest = split_off(others, validation, seed, 1, number)
        if not rest:
            raise UserError(
                f"a share of {validation:g} for validation leaves none of {len(others)} subjects to train on; lower "
                "config.protocol.validation"
            )
        folds.append(Fold(train=rest, validation=chosen, test=tuple(sorted(test))))
    return folds


def split_off(subjects: Sequence[str], share: float, *seed: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Draws a share of subjects, at least one; returns these and the others, each in order of name."""
    order = np.random.default_rng(seed).permutation(len(subjects))
    chosen = {subjects[int(index)] for index in order[: max(1, round(share * len(subjects)))]}
    return tuple(sorted(chosen)), tuple(sorted(set(subjects) - chosen))


def split_document(folds: Sequence[Fold], seed: int) -> dict[str, Any]:
    """The content of split.json: subjects of every fold, the seed, and a checksum over both."""
    content = {"seed": seed, "folds": [{name: list(group) for name, group in asdict(fold).items()} for fold in folds]}
    return {**content, "checksum": files.checksum(content)}
