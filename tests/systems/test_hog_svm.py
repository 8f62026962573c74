"""HOG+SVM: descriptors of every n-th frame, and scores of every frame; the cost is chosen by validation, an AU of one class
gets its sign, a second start reads the model.
"""

import numpy as np
import pytest

from au_jax import files
from au_jax.data.dataset import FaceSet
from au_jax.errors import DataError
from au_jax.evaluation import metrics
from au_jax.logs import read_metrics
from au_jax.systems.hog_svm import DESCRIPTOR_WIDTH, HogSvm, LinearSvms, descriptors

pytestmark = pytest.mark.optax


def test_descriptors_of_every_nth_frame_are_rows_of_those_of_all(dataset):
    faces = FaceSet(dataset, ("S004", "S001"))
    whole = descriptors(faces, 1)
    assert whole.shape == (len(faces), DESCRIPTOR_WIDTH) == (len(faces), 6272) and whole.dtype == np.float32
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


@pytest.fixture
def examples():
    """Labels of four AUs: one along the first axis, one along the second, one always present, one without labels."""
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(300, 6)).astype(np.float32)
    columns = [np.sign(rows[:, 0] + 0.2), np.sign(rows[:, 1]), np.ones(300), np.zeros(300)]
    return rows, np.stack(columns, 1).astype(np.int8)


def test_each_au_has_its_direction_and_its_cost(context, examples, tmp_path):
    rows, labels = examples
    config = context.config.hog_svm
    config.pca_energy, config.pca_components, config.costs = 1.0, 6, (1e-6, 1.0)
    svms = LinearSvms(context, "toy", config)
    svms.fit(lambda: (rows[:200], labels[:200]), lambda: (rows[200:], labels[200:]))
    scores = svms.score(rows)
    assert scores.dtype == np.float32 and scores.shape == (300, 4)
    assert (metrics.f1(metrics.counts(labels[200:], scores[200:]))[:2] > 0.95).all()
    assert (scores[:, 2] == 1).all() and (scores[:, 3] == -1).all()
    model = files.read_npz(context.files.model("toy"))
    assert model["costs"][:2].tolist() == [1.0, 1.0] and np.isnan(model["costs"][2:]).all()
    assert read_metrics(tmp_path)["fold_00/toy"][0]["pca_components"] == 6
    again = LinearSvms(context, "toy", config)
    again.fit(lambda: pytest.fail("asked for examples"), lambda: pytest.fail("asked for examples"))
    np.testing.assert_array_equal(again.score(rows), scores)
