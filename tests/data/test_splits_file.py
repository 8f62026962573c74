"""Folds by a JSON file of subjects, and the one function that deals subjects as the config asks."""

import json

import pytest

from au_jax.config import get_config
from au_jax.data.splits import PUBLISHED, make_folds, partition, partition_of, split_document
from au_jax.errors import ConfigError, DataError

SUBJECTS = ("F001", "F002", "F003", "M001", "M002", "M003")


def settings(**fields):
    config = get_config()
    config.protocol.update(fields)
    return config


@pytest.fixture
def folds_file(tmp_path):
    def write(content):
        path = tmp_path / "folds.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return str(path)

    return write


@pytest.mark.parametrize(("folds", "sizes"), [(4, [2, 2, 1, 1]), (5, [2, 1, 1, 1, 1])])
def test_any_list_is_dealt_into_four_or_five_folds(folds, sizes):
    parts = partition_of(settings(folds=folds), SUBJECTS)
    assert parts == partition(SUBJECTS, folds, seed=0) and [len(part) for part in parts] == sizes


@pytest.mark.parametrize("folds", [4, 5])
def test_a_file_deals_the_140_subjects_of_bp4d_plus_into_four_or_five_folds(folds_file, folds):
    everyone = [f"F{number:03}" for number in range(1, 83)] + [f"M{number:03}" for number in range(1, 59)]
    dealt = [everyone[number::folds] for number in range(folds)]
    path = folds_file(dealt)
    parts = partition_of(settings(subjects_file=path, folds=folds), everyone)
    assert parts == [tuple(part) for part in dealt]
    made = make_folds(parts, 0.2, 0)
    assert len(made) == folds and sorted(name for fold in made for name in fold.test) == sorted(everyone)
    assert all(len(fold.train) + len(fold.validation) + len(fold.test) == 140 for fold in made)


def test_a_published_list_is_taken_by_its_name_and_its_number_of_folds():
    everyone = sum(PUBLISHED["disfa_3fold"], ())
    assert partition_of(settings(split="disfa_3fold"), everyone) == list(PUBLISHED["disfa_3fold"])
    with pytest.raises(ConfigError, match=r"disfa_3fold has 3 folds, config.protocol.folds says 4; give --config.prot"):
        partition_of(settings(split="disfa_3fold", folds=4), everyone)
    with pytest.raises(ConfigError, match="config.protocol.split is 'mine'; choose one of random, bp4d_3fold"):
        partition_of(settings(split="mine"), everyone)


def test_a_file_deals_the_subjects_and_wins_over_the_split(folds_file):
    path = folds_file([["M001", "F001"], ["F003", "F002"], ["M002", "M003"]])
    expected = [("F001", "M001"), ("F002", "F003"), ("M002", "M003")]
    for split in ("random", "bp4d_3fold"):
        assert partition_of(settings(subjects_file=path, split=split), SUBJECTS) == expected
    folds = make_folds(expected, 0.2, 0)
    assert [fold.test for fold in folds] == expected
    assert split_document(folds, 0)["folds"][1]["test"] == ["F002", "F003"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[[", r"folds.json is no JSON \(.*\); write a list of subjects for each fold"),
        ('{"F001": 0}', "folds.json is no list of at least two folds; write"),
        ([list(SUBJECTS)], "folds.json is no list of at least two folds"),
        ([["F001"], "F002", ["M001"]], "folds.json has no list of subjects as fold 1"),
        ([["F001"], ["F002", 3], ["M001"]], "folds.json has no list of subjects as fold 1"),
        ([["F001"], [], ["M001"]], "folds.json has no list of subjects as fold 1"),
        ([["F001", "F002"], ["F002", "M001"], ["F001"]], "folds.json names F001, F002 more than once"),
        ([["F001", "F002", "F003", "M001"], ["M002"], ["M003", "X9"]], r"X9 \(list only\); complete the file"),
        ([["F001", "F002", "F003"], ["M002"], ["M003"]], r"does not fit the dataset: M001 \(dataset only\)"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line(folds_file, content, message):
    with pytest.raises(DataError, match=message) as caught:
        partition_of(settings(subjects_file=folds_file(content)), SUBJECTS)
    assert "\n" not in str(caught.value) and "folds.json" in str(caught.value)


def test_a_file_that_is_not_there_or_has_other_folds_is_one_line(folds_file, tmp_path):
    with pytest.raises(
        DataError, match=r"none.json cannot be read \(No such file or directory\); mend config.protocol"
    ):
        partition_of(settings(subjects_file=str(tmp_path / "none.json")), SUBJECTS)
    path = folds_file([["F001", "F002", "F003"], ["M001", "M002", "M003"]])
    with pytest.raises(ConfigError, match=r"folds.json, which .* names, has 2 folds, config.protocol.folds says 3"):
        partition_of(settings(subjects_file=path), SUBJECTS)
