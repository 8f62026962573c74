"""Subject-exclusive folds (section IV-B): who trains, who validates and who is tested, decided once and checksummed."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from au_jax import files
from au_jax.config import Config
from au_jax.errors import ConfigError, DataError

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
    """Subjects of one fold; the three groups have nobody in common.

    Example:
      >>> Fold(train=("F001",), validation=("F002",), test=("M001",)).test
      ('M001',)
    """

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]


def partition_of(config: Config, subjects: Sequence[str]) -> list[tuple[str, ...]]:
    """Deals the subjects of a dataset into the folds that a config asks for; each is tested in one of them.

    Args:
      config: `protocol.subjects_file` wins; else `protocol.split` is "random" (dealt by `seed`) or a published list.
      subjects: of the dataset, in order.

    Returns:
      The test subjects of every fold.

    Raises:
      ConfigError: no such published list, or `protocol.folds` is not its number of folds.
      DataError: a list does not fit the dataset, or the file cannot be used.

    Example:
      >>> from ml_collections import ConfigDict
      >>> config = ConfigDict({"seed": 0, "protocol": {"split": "random", "folds": 2, "subjects_file": ""}})
      >>> partition_of(config, ["anna", "bert", "carl", "dora"])
      [('anna', 'carl'), ('bert', 'dora')]
    """
    protocol = config.protocol
    check_split(config)
    if protocol.subjects_file:
        parts = read_subjects_file(Path(protocol.subjects_file))
        remedy = "complete the file or the dataset; a fold list names every subject once"
        _check_fit(protocol.subjects_file, parts, subjects, remedy)
        return parts
    if protocol.split == "random":
        if protocol.folds > len(subjects):
            raise _too_few(len(subjects), protocol.folds)
        return partition(subjects, protocol.folds, config.seed)
    return published_partition(protocol.split, subjects)


def check_split(config: Config) -> None:
    """Checks the list of folds that a config names, before there is a dataset.

    Raises:
      ConfigError: no such published list, or `protocol.folds` is not its number of folds.
      DataError: the file cannot be used.

    Example:
      >>> from au_jax.config import Config, replace
      >>> check_split(replace(Config(), **{"protocol.split": "bp4d_3fold", "protocol.folds": 10}))  # doctest: +ELLIPSIS
      Traceback (most recent call last):
      au_jax.errors.ConfigError: config.protocol.split bp4d_3fold has 3 folds, config.protocol.folds says 10; give ...
    """
    protocol = config.protocol
    if protocol.subjects_file:
        parts = read_subjects_file(Path(protocol.subjects_file))
        _check_folds(f"{protocol.subjects_file}, which config.protocol.subjects_file names,", parts, protocol.folds)
    elif protocol.split not in SPLITS:
        raise ConfigError(f"config.protocol.split is {protocol.split!r}; choose one of {', '.join(SPLITS)}")
    elif protocol.split in PUBLISHED:
        _check_folds(f"config.protocol.split {protocol.split}", PUBLISHED[protocol.split], protocol.folds)


def partition(subjects: Sequence[str], parts: int, seed: int) -> list[tuple[str, ...]]:
    """Deals subjects at random into parts whose sizes differ by at most one (section IV-B).

    Args:
      subjects: names in order.
      parts: number of folds.
      seed: decides who comes into which part.

    Example:
      >>> [len(part) for part in partition([f"S{number:02}" for number in range(41)], 10, seed=0)]
      [5, 4, 4, 4, 4, 4, 4, 4, 4, 4]
    """
    order = np.random.default_rng([seed, 0]).permutation(len(subjects))
    return [tuple(sorted(subjects[int(index)] for index in chunk)) for chunk in np.array_split(order, parts)]


def published_partition(name: str, subjects: Sequence[str]) -> list[tuple[str, ...]]:
    """The parts of a published list of folds.

    Raises:
      DataError: a subject of the dataset stands in no list, or one of a list is not in the dataset: the results would not
        be comparable with published ones.

    Example:
      >>> [len(part) for part in published_partition("disfa_3fold", sum(PUBLISHED["disfa_3fold"], ()))]
      [9, 9, 9]
    """
    parts = list(PUBLISHED[name])
    remedy = "complete the dataset, or take config.protocol.split=random"
    _check_fit(f"config.protocol.split {name}", parts, subjects, remedy)
    return parts


def read_subjects_file(path: Path) -> list[tuple[str, ...]]:
    """Reads the folds of a file, a JSON list with a list of subjects for each fold.

    Returns:
      The test subjects of every fold, in order of name.

    Raises:
      DataError: no such file, no JSON, another form than a list of lists of names, or a subject comes twice.

    Example:
      >>> import tempfile
      >>> path = Path(tempfile.mkdtemp()) / "folds.json"
      >>> _ = path.write_text('[["bert", "anna"], ["carl", "dora"]]')
      >>> read_subjects_file(path)
      [('anna', 'bert'), ('carl', 'dora')]
    """
    form = 'write a list of subjects for each fold, [["F001", "F002"], ["M001", "M002"]]'
    try:
        content = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise DataError(
            f"{path} cannot be read ({error.strerror}); mend config.protocol.subjects_file or the file"
        ) from error
    except ValueError as error:  # no JSON or no text
        raise DataError(f"{path} is no JSON ({error}); {form}") from error
    if not isinstance(content, list) or len(content) < 2:
        raise DataError(f"{path} is no list of at least two folds; {form}")
    for number, part in enumerate(content):
        if not isinstance(part, list) or not part or not all(isinstance(name, str) for name in part):
            raise DataError(f"{path} has no list of subjects as fold {number}; {form}")
    everyone = [name for part in content for name in part]
    if doubled := sorted({name for name in everyone if everyone.count(name) > 1}):
        raise DataError(f"{path} names {', '.join(doubled)} more than once; each subject may be tested once only")
    return [tuple(sorted(part)) for part in content]


def _check_folds(what: str, parts: Sequence[Sequence[str]], folds: int) -> None:
    if len(parts) != folds:
        raise ConfigError(
            f"{what} has {len(parts)} folds, config.protocol.folds says {folds}; give --config.protocol.folds={len(parts)}"
        )


def _check_fit(what: str, parts: Sequence[Sequence[str]], subjects: Sequence[str], remedy: str) -> None:
    """Makes sure that a list of folds has the subjects of a dataset, all of them and no others."""
    listed = {subject for part in parts for subject in part}
    for strangers, where in ((set(subjects) - listed, "dataset only"), (listed - set(subjects), "list only")):
        if strangers:
            names = ", ".join(sorted(strangers))
            raise DataError(f"{what} does not fit the dataset: {names} ({where}); {remedy}")


def make_folds(partitions: Sequence[Sequence[str]], validation: float, seed: int) -> list[Fold]:
    """Makes a fold of every part as the test subjects, and sets a share of the others aside for validation.

    Args:
      partitions: test subjects of every fold.
      validation: share of the other subjects, more than 0 and less than 1.
      seed: decides who validates.

    Raises:
      DataError: a subject stands in two parts; too few subjects to validate and train on, or too large a share.

    Example:
      >>> make_folds([("anna", "bert"), ("carl", "dora")], 0.2, seed=0)[0]
      Fold(train=('dora',), validation=('carl',), test=('anna', 'bert'))
    """
    everyone = [subject for part in partitions for subject in part]
    doubled = sorted({subject for subject in everyone if everyone.count(subject) > 1})
    if doubled:
        raise DataError(f"subjects {', '.join(doubled)} stand in more than one fold; each may be tested once only")
    folds = []
    for number, test in enumerate(partitions):
        others = [subject for subject in everyone if subject not in test]
        if not test or len(others) < 2:
            raise _too_few(len(everyone), len(partitions))
        chosen, rest = split_off(others, validation, seed, 1, number)
        if not rest:
            raise DataError(
                f"a share of {validation:g} for validation leaves none of {len(others)} subjects to train on; give at most "
                f"config.protocol.validation={math.floor(100 * (len(others) - 1) / len(others)) / 100:g}"
            )
        folds.append(Fold(train=rest, validation=chosen, test=tuple(sorted(test))))
    return folds


def _too_few(subjects: int, folds: int) -> DataError:
    they = "one subject is" if subjects == 1 else f"{subjects} subjects are"
    return DataError(f"{they} too few for {folds} folds with training, validation and test; {_enough(subjects, folds)}")


def _enough(subjects: int, folds: int) -> str:
    """What to do where a fold has nobody, or leaves fewer than two others."""
    fits = [number for number in range(2, subjects + 1) if subjects - math.ceil(subjects / number) >= 2]
    if not fits:
        return "add recordings of others (of synthfacs: config.data.subjects): three subjects are the least"
    if folds in fits:
        return "deal the subjects evenly in config.protocol.subjects_file: two at least are not of the fold"
    return f"give config.protocol.folds={min(fits, key=lambda number: abs(number - folds))}"


def split_off(subjects: Sequence[str], share: float, *seed: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Takes a share of subjects at random, at least one; returns these and the others, each in order of name.

    Example:
      >>> split_off(["anna", "bert", "carl", "dora"], 0.25, 0)
      (('carl',), ('anna', 'bert', 'dora'))
    """
    order = np.random.default_rng(seed).permutation(len(subjects))
    chosen = {subjects[int(index)] for index in order[: max(1, round(share * len(subjects)))]}
    return tuple(sorted(chosen)), tuple(sorted(set(subjects) - chosen))


def split_document(folds: Sequence[Fold], seed: int) -> dict[str, Any]:
    """The content of split.json: subjects of every fold, the seed, and a checksum over both.

    Example:
      >>> document = split_document([Fold(("anna",), ("bert",), ("carl",))], seed=0)
      >>> document["folds"], document["checksum"][:8]
      ([{'train': ['anna'], 'validation': ['bert'], 'test': ['carl']}], '6b5a295e')
    """
    content = {"seed": seed, "folds": [{name: list(group) for name, group in asdict(fold).items()} for fold in folds]}
    return {**content, "checksum": files.checksum(content)}
