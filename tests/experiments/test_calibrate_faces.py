"""The calibration of bp4d_like and gft_like: by the protocol's proportions, on its seed, with HOG+SVM and no network."""

import dataclasses

import numpy as np
import pytest

from au_jax.evaluation.agreement import agreement_counts, kappa
from au_jax.evaluation.metrics import Counts
from au_jax.report.face_samples import FaceSample
from au_jax.run import check_config
from au_jax.synthfacs import presets
from experiments import calibrate_faces


@pytest.mark.parametrize("dataset", ["bp4d", "gft"])
def test_a_calibration_trains_no_network_and_draws_its_own_people(dataset, tmp_path):
    config = calibrate_faces.calibration_config(dataset, tmp_path, 1.0)
    check_config(config)
    assert config.systems == ("hog_svm",) and config.protocol.threshold == "zero"
    assert config.data.render_seed == calibrate_faces.SEED == 7 and config.protocol.folds == 3
    assert config.data.preset == f"{dataset}_like"
    # As many people as in the real sets, and the costs and components of the scale that the results are of.
    assert config.data.subjects == {"bp4d": 41, "gft": 50}[dataset]
    assert config.hog_svm.pca_components == 300 and config.hog_svm.costs == (1e-2, 1e-1, 1.0)


def test_hardness_multiplies_what_the_protocol_names_and_nothing_else():
    easy, hard = (calibrate_faces.harder(presets.CLEAR, value) for value in (0.0, 2.0))
    assert easy == presets.CLEAR
    changed = {
        field.name for field in dataclasses.fields(easy) if getattr(easy, field.name) != getattr(hard, field.name)
    }
    assert changed == {"resting", "uncoded", "mixing", "amplitude_spread", "light"}
    assert (hard.resting, hard.uncoded, hard.mixing, hard.amplitude_spread, hard.light) == (2.0, 1.2, 0.5, 0.55, 2.0)


@pytest.mark.parametrize("name", ["bp4d_like", "gft_like"])
def test_the_frozen_presets_are_what_the_calibration_draws_at_their_hardness(name):
    frozen = presets.get_preset(name)
    assert calibrate_faces.harder(frozen, frozen.resting) == frozen
    assert frozen.resting in calibrate_faces.HARDNESS and frozen.filmed


def test_letters_are_counted_from_the_level_on():
    intensities = np.array([[0.9, 1.0], [1.9, 2.0], [3.5, 4.9], [5.0, 0.0]])
    np.testing.assert_allclose(calibrate_faces.letter_shares(intensities, 1.0), np.array([2, 1, 1, 1, 1]) / 6)
    np.testing.assert_allclose(calibrate_faces.letter_shares(intensities, 2.0), [0, 0.25, 0.25, 0.25, 0.25])


def test_kappa_is_cohens():
    sklearn = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    one = np.where(rng.random((500, 3)) < [0.2, 0.5, 0.9], 1, -1)
    two = np.where(rng.random((500, 3)) < 0.2, -one, one)
    expected = [sklearn.cohen_kappa_score(one[:, k], two[:, k]) for k in range(3)]
    np.testing.assert_allclose(kappa(agreement_counts(one.astype(np.int8), two.astype(np.int8))), expected)


def test_correlation_is_matthews():
    # tp 6, fp 1, fn 2, tn 3: (18 - 2) / sqrt(7 * 8 * 4 * 5); and a column without positives.
    counts = Counts(*(np.array([value, 0]) for value in (6, 1, 2)), tn=np.array([3, 5]))
    np.testing.assert_allclose(calibrate_faces.correlation(counts), [16 / np.sqrt(7 * 8 * 4 * 5), 0.0])


def test_a_preset_stands_in_for_a_while_only():
    before = presets.get_preset("tiny")
    with pytest.raises(ZeroDivisionError), calibrate_faces.standing_in("tiny", dataclasses.replace(before, noise=1.0)):
        assert presets.get_preset("tiny").noise == 1.0
        raise ZeroDivisionError
    assert presets.get_preset("tiny") is before


def test_what_was_scored_is_read_and_the_nearest_to_the_middle_is_named(tmp_path):
    from au_jax import files

    found = {"f1": 46.0, "always": 48.0, "auc": 71.0, "mcc": 0.3, "lost": 0.004}
    files.write_json(tmp_path / "bp4d_1.json", found)
    assert calibrate_faces.score("bp4d", tmp_path, 1.0) == found
    scores = {0.0: found | {"f1": 70.0}, 1.0: found, 2.0: found | {"f1": 41.0}}
    text = calibrate_faces.table(scores, "bp4d")
    assert "nearest to 44.1: 1, inside 32.5 to 55.7" in text
    assert "outside" in calibrate_faces.table({0.0: found | {"f1": 70.0}}, "bp4d")


def test_the_persons_share_is_that_of_an_analysis_of_variance():
    rng = np.random.default_rng(0)
    people, frames = 30, 40
    subject = np.repeat(np.arange(people), frames)
    # Between people a deviation of 3, within of 1: 9 parts of 10.
    rows = np.repeat(3.0 * rng.standard_normal((people, 50)), frames, 0) + rng.standard_normal((people * frames, 50))
    assert abs(calibrate_faces.person_share(rows, subject) - 0.9) < 0.02
    assert calibrate_faces.person_share(rng.standard_normal((1200, 50)), subject) < 0.05


def _sample(subject, videos, labels):
    count = len(subject)
    return FaceSample(
        images=np.zeros((count, 4, 4, 3), np.uint8),
        landmarks=np.zeros((count, 49, 2), np.float32),
        labels=np.repeat(np.array(labels, np.int8)[:, None], 12, 1),
        subject=np.array(subject),
        half=np.arange(count) % 2,
        subjects=("a", "b"),
        videos=np.array(videos),
        frames=np.arange(count),
    )


def test_a_persons_neighbours_are_sought_in_other_recordings_where_there_are_some():
    # Within a recording frames are alike, between the recordings of a person they are not: only those count here.
    features = np.repeat([[0.0], [10.0], [10.1], [0.1]], 24, 0) + np.tile(np.arange(24)[:, None] * 1e-4, (4, 1))
    subject, labels = np.repeat([0, 0, 1, 1], 24), np.tile([1, -1], 48)
    two = calibrate_faces.neighbours(
        features, _sample(subject, np.repeat(["T1", "T2", "T1", "T2"], 24), labels), labels
    )
    assert two["subject"] == (0.0, 0.5) and two["au12"][1] == 0.5
    # With one recording of each person the other half of it takes its place.
    one = calibrate_faces.neighbours(features, _sample(subject, np.repeat(["T1"], 96), labels), labels)
    assert one["subject"] == (1.0, 0.5)


def test_checks_look_at_the_faces_that_the_calibration_drew(tmp_path, monkeypatch):
    drawn = []

    class Drawn(Exception):
        pass

    def load(data):
        drawn.append((presets.get_preset(data.preset), data.videos, data.directory))
        raise Drawn

    monkeypatch.setattr(calibrate_faces, "load_dataset", load)
    with pytest.raises(Drawn):
        calibrate_faces.check("bp4d", tmp_path, 0.5)
    preset, videos, folder = drawn[0]
    assert preset == calibrate_faces.thinned("bp4d", 0.5) and preset.fps == 6.25 and preset.resting == 0.5
    # A folder of its own: what was scored stays as it is.
    assert videos == 2 and folder == str(tmp_path / "bp4d_0.5_checks")
