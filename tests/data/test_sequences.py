"""Subsequences: where they are cut, what is masked, which are sampled again."""

import numpy as np
import pytest

from au_jax.data import sequences


def video(length, active=12, dimension=3, offset=0):
    labels = np.full((length, 12), -1, np.int8)
    labels[:, :active] = 1
    features = np.arange(offset, offset + length, dtype=np.float32)[:, None].repeat(dimension, 1)
    return sequences.TrainingVideo(features, labels, np.arange(length) == 0)


def test_a_subjects_recordings_are_joined_with_resets():
    features = {"A/1": np.zeros((3, 2)), "A/2": np.ones((2, 2)), "B/1": np.zeros((4, 2))}
    labels = {key: np.ones((len(rows), 12), np.int8) for key, rows in features.items()}
    joined = sequences.training_videos(features, labels, concatenate=True)
    assert [len(one) for one in joined] == [5, 4]
    assert joined[0].reset.tolist() == [True, False, False, True, False]
    assert joined[0].features[:, 0].tolist() == [0, 0, 0, 1, 1]


def test_recordings_stay_apart_on_request():
    features = {"A/1": np.zeros((3, 2)), "A/2": np.ones((2, 2))}
    labels = {key: np.ones((len(rows), 12), np.int8) for key, rows in features.items()}
    assert [len(one) for one in sequences.training_videos(features, labels, concatenate=False)] == [3, 2]


def test_a_cut_masks_burn_in_and_padding():
    piece = sequences.cut_subsequence(video(5), start=2, length=6, burn_in=1)
    assert piece["features"][:, 0].tolist() == [2, 3, 4, 0, 0, 0]
    assert piece["mask"].tolist() == [0, 1, 1, 0, 0, 0]
    assert piece["reset"].tolist() == [True, False, False, False, False, False]
    assert (piece["labels"][3:] == 0).all()


def test_quiet_subsequences_are_sampled_again():
    generator = np.random.default_rng(0)
    videos = [video(100, active=1), video(100, active=2)]
    numbers = {sequences.sample_subsequence(generator, videos, 10, min_active=1.5)[0] for _ in range(50)}
    assert numbers == {1}


def test_the_most_active_one_is_taken_where_none_suffices():
    generator = np.random.default_rng(0)
    videos = [video(1000, active=0), video(1000, active=1)]
    assert sequences.sample_subsequence(generator, videos, 10, min_active=5.0)[0] == 1


def test_long_videos_are_sampled_in_proportion():
    generator = np.random.default_rng(0)
    videos = [video(100), video(300)]
    numbers = [sequences.sample_subsequence(generator, videos, 10, 0.0)[0] for _ in range(2000)]
    assert np.mean(numbers) == pytest.approx(0.75, abs=0.03)


def test_starts_cover_the_whole_video():
    generator = np.random.default_rng(0)
    starts = {sequences.sample_subsequence(generator, [video(13)], 10, 0.0)[1] for _ in range(200)}
    assert starts == {0, 1, 2, 3}


def test_batches_are_a_function_of_seed_and_epoch():
    videos = [video(50), video(40, offset=100)]

    def first(seed, epoch):
        batches = list(
            sequences.subsequence_batches(
                videos, seed=seed, epoch=epoch, steps=2, batch_size=3, length=8, burn_in=2, min_active=1.5
            )
        )
        assert len(batches) == 2
        assert batches[0]["features"].shape == (3, 8, 3)
        assert batches[0]["mask"].shape == (3, 8)
        return batches[0]["features"]

    np.testing.assert_array_equal(first(1, 2), first(1, 2))
    assert (first(1, 2) != first(1, 3)).any()
    assert (first(1, 2) != first(2, 2)).any()


def test_whole_videos_are_padded_at_the_end():
    stacked, lengths = sequences.whole_videos({"a": np.ones((3, 2)), "b": np.ones((5, 2))}, length=4)
    assert stacked.shape == (2, 8, 2)
    assert lengths.tolist() == [3, 5]
    assert stacked[0, 3:].sum() == 0


def test_even_sampling_takes_every_video_before_any_comes_again():
    videos = [video(6, offset=100 * number) for number in range(5)]
    (batch, again) = list(
        sequences.subsequence_batches(
            videos, seed=0, epoch=0, steps=2, batch_size=5, length=4, burn_in=0, min_active=1.5, sampling="even"
        )
    )
    for part in (batch, again):
        assert sorted(part["features"][:, 0, 0] // 100) == [0, 1, 2, 3, 4]
    assert not np.array_equal(batch["features"], again["features"])
