"""The hybrid: whose scores its fusion network learns from."""

import numpy as np
import pytest

from au_jax.data.dataset import FaceSet
from au_jax.logs import Costs, RunLog
from au_jax.systems import hybrid
from au_jax.systems.anet_filter import AnetFilter
from au_jax.systems.base import FoldContext
from au_jax.systems.fusion_trainer import FusionTrainer, temporal_rows, temporal_shape

pytestmark = pytest.mark.optax


@pytest.fixture
def quick(config):
    config.cnn.epochs = 1
    config.lstm.epochs = 1
    config.lstm.steps_per_epoch = 1
    config.fusion.epochs = 1
    return config


@pytest.fixture
def context(quick, tmp_path):
    log = RunLog(tmp_path)
    yield FoldContext(quick, 0, tmp_path / "fold_00", log, Costs(tmp_path))
    log.close()


def fit_hybrid(context, dataset, monkeypatch):
    """Fits a hybrid on S001 to S003 with S004 and S005 for validation; returns what the fusion network is given."""
    given = []
    monkeypatch.setattr(FusionTrainer, "fit", lambda self, *arguments: given.extend(arguments))
    train, validation = FaceSet(dataset, ("S001", "S002", "S003")), FaceSet(dataset, ("S004", "S005"))
    hybrid.Hybrid(context).fit(train, validation)
    return train, validation, given


@pytest.mark.slow
def test_out_of_fold_fusion_learns_from_networks_that_have_not_seen_the_subject(context, quick, dataset, monkeypatch):
    quick.fusion.train_on = "out_of_fold"
    quick.fusion.inner_folds = 3
    trained_on = []
    fit = hybrid.CnnLstm.fit
    monkeypatch.setattr(
        hybrid.CnnLstm,
        "fit",
        lambda self, train, validation: (trained_on.append(train.subjects), fit(self, train, validation))[0],
    )
    train, validation, (branches, labels, others_rows, other_labels) = fit_hybrid(context, dataset, monkeypatch)
    assert trained_on[0] == train.subjects
    assert sorted(trained_on[1:]) == [("S001", "S002"), ("S001", "S003"), ("S002", "S003")]
    # The demo's fusion sees a window of frames of each branch.
    assert branches[0].shape == branches[1].shape == (len(train), 10, 12) and labels.shape == (len(train), 12)
    # The rows of a subject stand together, in the order in which the parts were held out.
    order = [(set(train.subjects) - set(others)).pop() for others in trained_on[1:]]
    np.testing.assert_array_equal(labels, np.concatenate([dataset.records(subject).labels for subject in order]))
    np.testing.assert_array_equal(other_labels, validation.labels)
    assert len(others_rows[0]) == len(validation)
    own = hybrid.CnnLstm(context)
    own.fit(train, validation)
    assert np.abs(own.branches(train.select(order))[0] - branches[0]).max() > 0


@pytest.mark.slow
def test_fusion_on_validation_subjects_keeps_some_of_them_apart(context, quick, dataset, monkeypatch):
    _, validation, (branches, labels, others_rows, other_labels) = fit_hybrid(context, dataset, monkeypatch)
    rows = np.concatenate([labels, other_labels])
    assert len(branches[0]) + len(others_rows[0]) == len(validation) == len(rows)
    lengths = {len(dataset.records(subject).labels) for subject in validation.subjects}
    assert {len(labels), len(other_labels)} <= lengths


def test_fusion_can_be_shown_its_own_training_scores(context, quick, dataset, monkeypatch):
    quick.fusion.train_on = "train"
    train, validation, (_, labels, _, other_labels) = fit_hybrid(context, dataset, monkeypatch)
    np.testing.assert_array_equal(labels, train.labels)
    np.testing.assert_array_equal(other_labels, validation.labels)


def test_anet_with_a_filter_gets_what_the_hybrid_gets(context, quick, dataset, monkeypatch):
    quick.fusion.variant = "temporal"
    _, validation, (branches, labels, _, other_labels) = fit_hybrid(context, dataset, monkeypatch)
    given = []
    monkeypatch.setattr(FusionTrainer, "fit", lambda self, *arguments: given.extend(arguments))
    filtered = AnetFilter(context)
    filtered.fit(FaceSet(dataset, ("S001", "S002", "S003")), validation)
    ((cnn,), filter_labels, _, filter_others) = given
    # The same CNN, windows, people to learn from and people that choose the epoch.
    np.testing.assert_array_equal(cnn, branches[0])
    np.testing.assert_array_equal(filter_labels, labels)
    np.testing.assert_array_equal(filter_others, other_labels)
    assert cnn.shape[1:] == temporal_shape(quick.fusion, 12)


def test_the_causal_hybrid_does_not_look_ahead(quick):
    config = quick.fusion
    config.lookahead = 0
    rows = np.random.default_rng(0).normal(size=(9, 12)).astype(np.float32)
    later = rows.copy()
    later[6:] += 1.0
    one, other = (temporal_rows(config, scores, [9]) for scores in (rows, later))
    np.testing.assert_array_equal(one[:6], other[:6])
    config.lookahead = 2
    one, other = (temporal_rows(config, scores, [9]) for scores in (rows, later))
    np.testing.assert_array_equal(one[:4], other[:4])
    assert np.abs(one[4:6] - other[4:6]).max() > 0.5
