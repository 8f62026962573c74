"""ANet intensity: ordinal heads that know how strong an AU is, and presence alone where nobody graded it."""

import dataclasses

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from au_jax import files
from au_jax.data.dataset import FaceSet
from au_jax.data.splits import Fold
from au_jax.errors import ConfigError
from au_jax.evaluation import tables
from au_jax.evaluation.intensity import intensity_counts, intensity_icc
from au_jax.run import run_system
from au_jax.systems.anet_intensity import AnetIntensity, fit_ordinal

pytestmark = pytest.mark.optax


def drawn(frames=400, width=4, seed=0):
    """Features, and steps 0 to 5 that a cumulative logit of them makes."""
    generator = np.random.default_rng(seed)
    rows = generator.normal(size=(frames, width))
    weights, borders = np.array([2.0, -1.0, 0.0, 0.5])[:width], np.array([0.0, 0.7, 1.5, 2.2, 3.0])
    steps = (generator.random((frames, 1)) < expit((rows @ weights)[:, None] - borders)).sum(1)
    return rows, steps, weights


def test_the_fit_is_one_logistic_regression_of_all_steps_together():
    rows, steps, _ = drawn()
    penalty = 1e-2
    weights, borders = fit_ordinal(rows, steps, penalty)
    # The same as a regression on every "at least k", told apart by indicators; large ones are hardly penalised.
    scale, levels = 1e3, np.arange(1, 6)
    repeated = np.concatenate(
        [np.concatenate([rows, scale * np.tile(np.eye(5)[k], (len(rows), 1))], 1) for k in range(5)]
    )
    reached = np.concatenate([steps >= level for level in levels])
    model = LogisticRegression(C=1 / (penalty * len(rows)), fit_intercept=False, tol=1e-10, max_iter=5000).fit(
        repeated, reached
    )
    np.testing.assert_allclose(weights, model.coef_[0, :4], atol=2e-3)
    np.testing.assert_allclose(borders, -scale * model.coef_[0, 4:], atol=2e-3)


def test_the_direction_is_found_again_and_the_borders_are_in_order():
    rows, steps, truth = drawn(frames=20_000)
    weights, borders = fit_ordinal(rows, steps, 1e-6)
    assert weights / np.linalg.norm(weights) == pytest.approx(truth / np.linalg.norm(truth), abs=0.05)
    assert (np.diff(borders) > 0).all()


def test_letters_above_the_highest_one_are_never_reached():
    rows, steps, _ = drawn()
    _, borders = fit_ordinal(rows, np.minimum(steps, 3), 1e-3)
    assert np.isfinite(borders[:3]).all() and np.isinf(borders[3:]).all()
    # A letter that is skipped is passed with the one above it.
    _, borders = fit_ordinal(rows, np.where(steps == 2, 3, steps), 1e-3)
    assert borders[1] == pytest.approx(borders[2], abs=1e-3)


@pytest.fixture
def toy(context, parts, monkeypatch):
    """The system on features of a direction for each AU instead of a CNN's; training labels and intensities can be changed."""
    train, validation, test = parts
    directions = np.random.default_rng(0).normal(size=(12, 40))

    def extract(_, faces):
        rows = np.concatenate([np.maximum(r.intensities, 0) for r in faces.dataset.load(faces.subjects)])
        noise = np.random.default_rng(len(rows)).normal(size=(len(rows), 40))
        return rows.astype(np.float32), (rows @ directions + 0.5 * noise).astype(np.float32)

    monkeypatch.setattr("au_jax.systems.anet.ANet.fit", lambda *_: None)
    monkeypatch.setattr("au_jax.systems.anet.ANet.extract_features", extract)
    context.config.anet_intensity.frame_step, context.config.anet_intensity.penalties = 1, (1e-4, 1e-3)
    return AnetIntensity(context), train, validation, test


def test_intensities_of_people_who_were_not_trained_on_are_estimated_from_their_features(toy, context):
    system, train, validation, test = toy
    system.fit(train, validation)
    unlabelled = test.without_labels()
    scores, estimates = system.score(unlabelled), system.estimate_intensities(unlabelled)
    assert scores.keys() == estimates.keys() == {video.key for video in test.videos}
    rows = np.concatenate(list(estimates.values()))
    assert rows.dtype == np.float32 and rows.shape == test.labels.shape
    graded = ~np.isnan(rows).all(0)
    assert graded.sum() >= 8 and ((rows[:, graded] >= 0) & (rows[:, graded] <= 5)).all()
    shown = (test.intensities > 0).any(0)
    assert np.nanmean(intensity_icc(intensity_counts(test.intensities, rows))[shown]) > 0.9
    known = test.labels != 0
    found = np.concatenate(list(scores.values())) > 0
    assert (found == (test.labels > 0))[known].mean() > 0.95
    # A second start reads what the first one fitted.
    again = AnetIntensity(context)
    again.fit(train, validation)
    np.testing.assert_array_equal(
        np.concatenate(list(again.score(unlabelled).values())), np.concatenate(list(scores.values()))
    )


def test_an_au_that_nobody_graded_is_learned_as_present_or_absent_and_has_no_intensity(toy):
    system, train, validation, test = toy
    for faces in (train, validation):
        intensities = faces.intensities.copy()
        intensities[:, 6] = np.where(faces.labels[:, 6] > 0, -1, intensities[:, 6])
        faces.__dict__["intensities"] = intensities
    system.fit(train, validation)
    estimates = np.concatenate(list(system.estimate_intensities(test.without_labels()).values()))
    assert np.isnan(estimates[:, 6]).all() and not np.isnan(estimates[:, 5]).any()
    scores, known = np.concatenate(list(system.score(test.without_labels()).values()))[:, 6], test.labels[:, 6] != 0
    assert ((scores > 0) == (test.labels[:, 6] > 0))[known].mean() > 0.95


def test_presence_begins_at_the_letter_from_which_labels_say_so(toy):
    system, train, validation, test = toy
    at_b = {id(faces): np.where(faces.intensities < 0, 0, np.where(faces.intensities >= 2, 1, -1)) for faces in toy[1:]}
    for faces in (train, validation):
        faces.__dict__["labels"] = at_b[id(faces)].astype(np.int8)
    system.fit(train, validation)
    found, truth = np.concatenate(list(system.score(test.without_labels()).values())) > 0, at_b[id(test)]
    assert (found == (truth > 0))[truth != 0].mean() > 0.95


def test_training_subjects_without_intensities_are_refused_with_the_remedy(context, parts):
    train, validation, _ = parts
    AnetIntensity.check_fold(context.config, 0, train, validation, {})
    train.__dict__["intensities"] = np.where(train.intensities > 0, -1, train.intensities).astype(np.int8)
    with pytest.raises(ConfigError, match="fold_00: no training frame has an intensity, A to E.*au-jax prepare"):
        AnetIntensity.check_fold(context.config, 0, train, validation, {})


def test_the_score_file_has_estimates_and_codes_of_test_subjects_and_the_tables_have_their_agreement(
    toy, context, dataset, monkeypatch
):
    _, train, validation, test = toy
    run_system("anet_intensity", context, dataset, Fold(train.subjects, validation.subjects, test.subjects))
    path = context.files.scores("anet_intensity")
    scored = tables.read_scores(path)
    tables.check_scores(scored, path, test.subjects, 12)
    grades = test.by_video(test.intensities)
    assert scored.grades.keys() == grades.keys()
    for key, rows in grades.items():
        np.testing.assert_array_equal(scored.grades[key], rows)
    document = tables.results(
        {"anet_intensity": {0: scored}}, aus=dataset.aus, replicates=5, level=0.9, f1_norm="jeni", seed=0
    )
    figures = document["systems"]["anet_intensity"]["intensity"]
    expected = intensity_icc(intensity_counts(test.intensities, np.concatenate(list(scored.intensities.values()))))
    assert [figures["icc"][str(au)] for au in dataset.aus] == pytest.approx(expected, abs=5e-4, nan_ok=True)
    text = tables.results_markdown({**document, "folds": {"finished": [0], "all": 1}, "seed": 0})
    row = next(line for line in text.splitlines() if "ICC" in line and line.startswith("|"))
    assert "anet_intensity ICC" in row and "MAE of 0" in row
    for damaged in (
        {"grades": {**scored.grades, "S005/T1": scored.grades["S005/T1"] + np.int8(9)}},
        {"intensities": {}},
        {"intensities": {key: rows[1:] for key, rows in scored.intensities.items()}},
    ):
        with pytest.raises(Exception, match="codes of intensity|has not an intensity"):
            tables.check_scores(dataclasses.replace(scored, **damaged), path, test.subjects, 12)


def test_a_system_without_intensities_leaves_score_file_and_results_as_they_were(finished):
    for path in finished.rglob("scores/*.npz"):
        assert not [name for name in files.read_npz(path) if name.endswith(("/intensities", "/grades"))]
    results = files.read_json(finished / "results.json")
    assert not [name for name, column in results["systems"].items() if "intensity" in column]


def test_intensities_of_test_subjects_are_hidden_from_systems(parts):
    faces = FaceSet(parts[2].dataset, parts[2].subjects)
    assert (faces.intensities > 0).any()
    with pytest.raises(ValueError, match="intensities of test subjects"):
        _ = faces.without_labels().intensities
