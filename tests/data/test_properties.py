"""What holds of folds, balanced batches and subsequences whatever the dataset looks like."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from au_jax.data import sequences
from au_jax.data.input_pipeline import balanced_rows
from au_jax.data.splits import make_folds, partition, split_document
from au_jax.errors import UserError

FEW = settings(max_examples=40, deadline=None)


@FEW
@given(
    st.lists(st.from_regex(r"[A-Z][0-9]{3}", fullmatch=True), min_size=1, max_size=30, unique=True),
    st.integers(2, 12),
    st.floats(0.01, 0.99),
    st.integers(0, 2**31),
)
def test_folds_test_everybody_once_and_never_mix(subjects, parts, share, seed):
    try:
        folds = make_folds(partition(subjects, parts, seed), share, seed)
    except UserError as error:
        # A fold needs somebody to test, to validate and to train on.
        others = [len(subjects) - len(test) for test in partition(subjects, parts, seed)]
        if "too few" in str(error):
            assert min(others) < 2 or len(subjects) < parts
        else:
            assert "leaves none" in str(error) and any(round(share * count) == count for count in others)
        return
    assert sorted(subject for fold in folds for subject in fold.test) == sorted(subjects)
    for fold in folds:
        groups = (fold.train, fold.validation, fold.test)
        assert all(groups) and sorted(sum(groups, ())) == sorted(subjects)
    assert folds == make_folds(partition(subjects, parts, seed), share, seed)
    assert split_document(folds, seed)["checksum"] != split_document(folds, seed + 1)["checksum"]


@FEW
@given(st.lists(st.sampled_from("ABCDEFGH"), min_size=4, max_size=12), st.integers(0, 9))
def test_a_subject_of_two_folds_is_always_refused(names, seed):
    half = len(names) // 2
    both = set(names[:half]) & set(names[half:])
    assume(both)
    with pytest.raises(UserError, match="more than one fold"):
        make_folds([sorted(set(names[:half])), sorted(set(names[half:]))], 0.2, seed)


LABELS = st.integers(1, 60).flatmap(
    lambda rows: st.lists(st.lists(st.sampled_from([-1, 0, 1]), min_size=12, max_size=12), min_size=rows, max_size=rows)
)


@FEW
@given(LABELS, st.integers(1, 9), st.integers(1, 5), st.integers(0, 99))
def test_balanced_batches_hold_labelled_frames_only_and_follow_from_the_seed(rows, size, draw, seed):
    labels = np.array(rows, np.int8)
    assume((labels != 0).any())

    def drawn(epoch):
        return list(balanced_rows(labels, seed=seed, epoch=epoch, batches=3, batch_size=size, draw=draw))

    numbers = drawn(0)
    assert len(numbers) == 3 * size and drawn(0) == numbers
    assert (labels[numbers] != 0).any(1).all()
    # Everything that occurs comes up once the batches are large enough.
    if size >= 9 and draw == 1:
        assert (labels[numbers] > 0).any(0).sum() >= min(9, (labels > 0).any(0).sum())


@FEW
@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=5), st.integers(1, 30), st.integers(0, 12), st.floats(0, 12),
    st.integers(0, 99),
)  # fmt: skip
def test_subsequences_lie_inside_their_video_and_mask_what_is_not_there(lengths, length, burn_in, active, seed):
    generator = np.random.default_rng(seed)
    videos = [
        sequences.TrainingVideo(
            np.arange(count, dtype=np.float32)[:, None] + 1, generator.integers(-1, 2, (count, 12)).astype(np.int8),
            np.arange(count) == 0,
        )
        for count in lengths
    ]  # fmt: skip
    number, start = sequences.sample_subsequence(generator, videos, length, active)
    video, piece = videos[number], sequences.cut_subsequence(videos[number], start, length, burn_in)
    there = min(length, len(video) - start)
    assert 0 <= start < len(video) and (there == length or len(video) < length)
    np.testing.assert_array_equal(piece["features"][:there, 0], np.arange(start, start + there) + 1)
    np.testing.assert_array_equal(piece["labels"][:there], video.labels[start : start + there])
    assert not piece["labels"][there:].any() and not piece["features"][there:].any()
    assert piece["mask"].sum() == max(0, there - burn_in) and not piece["mask"][:burn_in].any()
    assert piece["reset"][0] and all(rows.shape[0] == length for rows in piece.values())
