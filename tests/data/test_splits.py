"""Folds keep subjects apart, are reproducible and checksummed."""

import pytest

from au_jax.data.splits import PUBLISHED, make_folds, partition, published_partition, split_document
from au_jax.errors import UserError

BP4D = [f"F{number:03d}" for number in range(1, 24)] + [f"M{number:03d}" for number in range(1, 19)]


@pytest.mark.parametrize(("parts", "sizes"), [(3, [14, 14, 13]), (10, [5] + [4] * 9)])
def test_bp4d_is_dealt_into_the_papers_sizes(parts, sizes):
    assert [len(part) for part in partition(BP4D, parts, seed=0)] == sizes


def test_every_subject_is_tested_once_and_groups_of_a_fold_are_disjoint():
    folds = make_folds(partition(BP4D, 3, seed=1), validation=0.2, seed=1)
    assert sorted(subject for fold in folds for subject in fold.test) == sorted(BP4D)
    for fold in folds:
        groups = [set(fold.train), set(fold.validation), set(fold.test)]
        assert sum(len(group) for group in groups) == len(set.union(*groups)) == len(BP4D)


def test_a_fifth_of_training_subjects_validates():
    fold = make_folds(partition(BP4D, 3, seed=0), validation=0.2, seed=0)[0]
    assert len(fold.validation) == 5  # 0.2 x 27


def test_folds_follow_from_the_seed():
    def folds(seed):
        return make_folds(partition(BP4D, 3, seed), 0.2, seed)

    assert folds(3) == folds(3)
    assert folds(3) != folds(4)


def test_a_subject_in_two_folds_is_refused():
    with pytest.raises(UserError, match="F001"):
        make_folds([["F001", "F002", "F003"], ["F001", "M001", "M002"]], 0.2, 0)


def test_too_few_subjects_are_refused():
    with pytest.raises(
        UserError, match=r"2 subjects are too few for 2 folds .*; add recordings of others .*: three subjects"
    ):
        make_folds(partition(["A", "B"], 2, 0), 0.2, 0)
    # The first fold tests 7 of 13; 0.9375 x 6 = 5.6 of the others, rounded to 6, would validate.
    with pytest.raises(
        UserError, match=r"0.9375 for validation leaves none of 6 .*; give at most config.protocol.validation=0.83"
    ):
        make_folds(partition([f"S{number:02}" for number in range(13)], 2, 0), 0.9375, 0)


def test_checksum_covers_every_subject():
    folds = make_folds(partition(BP4D, 3, seed=0), 0.2, 0)
    moved = [*folds[1:], folds[0]]
    assert split_document(folds, 0)["checksum"] == split_document(folds, 0)["checksum"]
    assert split_document(folds, 0)["checksum"] != split_document(moved, 0)["checksum"]


def test_the_published_list_of_bp4d_deals_its_41_subjects_in_14_14_13():
    parts = published_partition("bp4d_3fold", BP4D)
    assert [len(part) for part in parts] == [14, 14, 13]
    assert sorted(subject for part in parts for subject in part) == sorted(BP4D)
    assert {"F001", "M014"} <= set(parts[0]) and {"F003", "M018"} <= set(parts[1]) and {"F004", "M015"} <= set(parts[2])


def test_the_published_list_of_disfa_deals_its_27_subjects_in_nines():
    parts = PUBLISHED["disfa_3fold"]
    assert [len(part) for part in parts] == [9, 9, 9]
    assert len({subject for part in parts for subject in part}) == 27


@pytest.mark.parametrize(
    ("subjects", "message"), [(BP4D[1:], r"F001 \(list only\)"), ([*BP4D, "F099"], r"F099 \(dataset only\)")]
)
def test_a_dataset_that_the_published_list_does_not_fit_is_refused(subjects, message):
    with pytest.raises(UserError, match=message):
        published_partition("bp4d_3fold", subjects)
