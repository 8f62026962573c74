"""HOG+SVM: descriptors of every n-th frame, and scores of every frame."""

import numpy as np
import pytest

from au_jax.data.dataset import FaceSet
from au_jax.errors import DataError
from au_jax.evaluation import metrics
from au_jax.systems.hog_svm import WIDTH, HogSvm, descriptors

pytestmark = pytest.mark.optax


def test_descriptors_of_every_nth_frame_are_rows_of_those_of_all(dataset):
    faces = FaceSet(dataset, ("S004", "S001"))
    whole = descriptors(faces, 1)
    assert whole.shape == (len(faces), WIDTH) == (len(faces), 6272) and whole.dtype == np.float32
    np.testing.assert_allclose(descriptors(faces, 3), whole[::3], atol=1e-5)
    np.testing.assert_allclose(descriptors(faces, 1, lambda rows: rows[:, :5]), whole[:, :5], atol=1e-5)


def test_landmarks_that_are_not_finite_are_named(dataset, parts):
    faces = FaceSet(dataset, ("S004",))
    faces.__dict__["landmarks"] = parts[1].landmarks.copy()
    faces.landmarks[7, 3, 1] = np.inf
    frame = faces.frame_numbers[7]
    with pytest.raises(DataError, match=rf"landmarks of S004/T1, frame {frame}, are not finite"):
        descriptors(faces, 1)


def test_every_frame_of_unlabelled_test_subjects_has_a_score(context, parts):
    train, validation, test = parts
    system = HogSvm(context)
    system.fit(train, validation)
    scores = system.score(test.without_labels())
    assert list(scores) == [video.key for video in test.videos]
    assert all(rows.shape == (len(video), 12) for rows, video in zip(scores.values(), test.videos, strict=True))
    # It tells presence from absence on people whom it has seen.
    seen = np.concatenate(list(system.score(train.without_labels()).values()))
    assert np.nanmean(metrics.auc(train.labels, seen)) > 0.9
