"""Frames of people at even distances, and descriptors of them, on a small trained run."""

import numpy as np
import pytest

from au_jax import files
from au_jax.errors import CommandError, DataError
from au_jax.report.face_samples import extract_descriptor, fc7, sample_faces
from au_jax.run_dir import TrainedFold

# TFDS's own arithmetic mixes dtypes.
pytestmark = pytest.mark.optax


def test_sample_is_spread_over_people_and_time(finished):
    run = TrainedFold(finished)
    sample = sample_faces(run.dataset, run.dataset.subjects, people=3, per_person=10)
    everyone = run.dataset.subjects
    assert sample.subjects == (everyone[0], everyone[2], everyone[-1])
    assert len(sample.images) == 30 and sample.images.shape[1:] == (40, 40, 3)
    for index, subject in enumerate(sample.subjects):
        own = sample.subject == index
        assert sample.half[own].tolist() == [0] * 5 + [1] * 5
        records = run.dataset.records(subject)
        for image, landmarks, video, number in zip(
            sample.images[own], sample.landmarks[own], sample.videos[own], sample.frames[own], strict=True
        ):
            place = next(v for v in records.videos if v.name == video)
            row = place.start + records.frame_numbers[place.start : place.stop].tolist().index(number)
            np.testing.assert_array_equal(landmarks, records.landmarks[row])
            assert records.face_detected[row] and image.std() > 5
    with pytest.raises(CommandError, match="--people=-1"):
        sample_faces(run.dataset, everyone, people=-1, per_person=10)


def test_faces_of_another_size_are_refused(finished):
    with pytest.raises(DataError, match="trained on faces of 40 px and is shown faces of 72 px"):
        fc7(TrainedFold(finished), np.zeros((1, 72, 72, 3), np.uint8))


def test_fc7_is_that_of_the_system(finished):
    run = TrainedFold(finished)
    kept = files.read_npz(finished / "fold_00" / "hybrid" / "features" / "pca.npz")
    subject = files.read_json(finished / "split.json")["folds"][0]["validation"][0]
    sample = sample_faces(run.dataset, (subject,), 1, 10_000)
    rows = (fc7(run, sample.images) - kept["mean"]) @ kept["components"].T
    stored = files.read_npz(finished / "fold_00" / "hybrid" / "features" / f"{subject}.npz")["features"]
    found = run.dataset.records(subject).face_detected
    np.testing.assert_allclose(rows, stored[found], atol=2e-4)


def test_a_descriptor_without_its_weights_or_of_another_name_is_refused(finished):
    run = TrainedFold(finished)
    sample = sample_faces(run.dataset, run.test_subjects, people=1, per_person=2)
    for name in ("VGG-Face", "SIFT"):
        with pytest.raises(ValueError, match="choose one of Shape, Gabor, HOG, VGG-Face, fc7"):
            extract_descriptor(name, sample, run)
