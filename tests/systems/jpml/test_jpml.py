"""JPML on the tiny dataset: relations and patches from training subjects, penalties from validation subjects."""

import numpy as np
import pytest

from au_jax import files
from au_jax.evaluation import metrics
from au_jax.labels import PAPER_AUS
from au_jax.logs import read_metrics
from au_jax.systems.jpml import PATCHES, Jpml, patch_learning

pytestmark = pytest.mark.optax


def rows_of(scores, faces):
    return np.concatenate([scores[video.key] for video in faces.videos])


def fitted(context, train, validation):
    system = Jpml(context)
    system.fit(train, validation)
    return system, files.read_npz(context.directory / "jpml" / "model.npz")


def test_every_frame_of_unlabelled_test_subjects_has_finite_scores(context, parts):
    train, validation, test = parts
    system, model = fitted(context, train, validation)
    scores = system.score(test.without_labels())
    assert list(scores) == [video.key for video in test.videos]
    rows = rows_of(scores, test)
    assert rows.shape == (len(test), len(PAPER_AUS)) and rows.dtype == np.float32 and np.isfinite(rows).all()
    assert model["patch_norms"].shape == (PATCHES, len(PAPER_AUS)) == (49, 12)
    lengths = np.linalg.norm(model["weights"].reshape(49, 128, 12), axis=1)
    np.testing.assert_allclose(model["patch_norms"], lengths, rtol=1e-4)
    # It tells presence from absence on people whom it has seen.
    seen, labels = rows_of(system.score(train.without_labels()), train), train.labels
    assert np.nanmean(metrics.auc(labels, seen)) > 0.8


def test_penalties_are_those_with_the_best_f1_on_validation_subjects(context, parts, tmp_path):
    train, validation, _ = parts
    context.config.jpml.alphas, context.config.jpml.frame_step = (0.3, 1e-3), 1
    context.config.jpml.betas_together = context.config.jpml.betas_compete = (1e-3,)
    values = {}
    system, model = fitted(context, train, validation)
    logged = read_metrics(tmp_path)["fold_00/jpml"][0]
    for alpha in (0.3, 1e-3):
        context.config.jpml.alphas = (alpha,)
        (context.directory / "jpml" / "model.npz").unlink()
        alone, _ = fitted(context, train, validation)
        scores = rows_of(alone.score(validation), validation)
        values[alpha] = metrics.average(metrics.f1(metrics.counts(validation.labels, scores)))[0]
    best = max(values, key=values.__getitem__)
    assert values[0.3] != values[1e-3]
    assert model["penalties"].tolist() == [best, 1e-3, 1e-3]
    assert logged["alpha"] == best
    assert logged["validation_f1"] == pytest.approx(values[best], abs=0.02)


def test_relations_are_those_of_training_labels(context, parts):
    train, validation, _ = parts
    step = context.config.jpml.frame_step
    _, model = fitted(context, train, validation)
    together, compete = patch_learning.relations(
        train.labels[::step], context.config.jpml.together, context.config.jpml.compete
    )
    np.testing.assert_array_equal(model["together"], together)
    np.testing.assert_array_equal(model["compete"], compete)
    assert together.any() and compete.any()


def test_a_second_start_reads_the_model(context, parts, monkeypatch):
    train, validation, test = parts
    first = fitted(context, train, validation)[0].score(test)
    monkeypatch.setattr(Jpml, "_fit", lambda *_: pytest.fail("fitted again"))
    again = fitted(context, train, validation)[0].score(test)
    for key, rows in first.items():
        np.testing.assert_array_equal(rows, again[key])


def test_an_au_of_one_class_gets_its_sign_everywhere(context, parts, monkeypatch):
    train, validation, test = parts
    labels = train.labels.copy()
    labels[:, 3], labels[:, 5], labels[:, 7] = -1, np.abs(labels[:, 5]), 0
    monkeypatch.setitem(train.__dict__, "labels", labels)
    system, model = fitted(context, train, validation)
    rows = rows_of(system.score(test), test)
    assert (rows[:, 3] == -1).all() and (rows[:, 5] == 1).all() and (rows[:, 7] == -1).all()
    assert np.ptp(rows[:, 4]) > 0
    assert (model["patch_norms"][:, [3, 5, 7]] == 0).all()
