"""Choices beside the default run: out-of-fold fusion, balanced sampling, and a CNN from another dataset."""

import jax
import numpy as np
import pytest

from au_jax import files
from au_jax.data.dataset import FaceSet
from au_jax.data.readers import make_reader
from au_jax.errors import UserError
from au_jax.logs import Costs, RunLog
from au_jax.run import check_config, run
from au_jax.systems import FoldContext, hybrid
from au_jax.systems.fusion_trainer import FusionTrainer

pytestmark = pytest.mark.optax


@pytest.fixture
def quick(config):
    config.cnn.epochs = 1
    config.lstm.epochs = 1
    config.lstm.steps_per_epoch = 1
    config.fusion.epochs = 1
    return config


@pytest.fixture
def context(quick, data_directory, tmp_path):
    # Networks of the same shape are compiled once.
    jax.config.update("jax_compilation_cache_dir", str(data_directory / "compiled"))
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
    train, validation, (streams, labels, held, held_labels) = fit_hybrid(context, dataset, monkeypatch)
    assert trained_on[0] == train.subjects
    assert sorted(trained_on[1:]) == [("S001", "S002"), ("S001", "S003"), ("S002", "S003")]
    assert streams[0].shape == streams[1].shape == (len(train), 12) == labels.shape
    # The rows of a subject stand together, in the order in which the parts were held out.
    order = [(set(train.subjects) - set(others)).pop() for others in trained_on[1:]]
    np.testing.assert_array_equal(labels, np.concatenate([dataset.records(subject).labels for subject in order]))
    np.testing.assert_array_equal(held_labels, validation.labels)
    assert len(held[0]) == len(validation)
    own = hybrid.CnnLstm(context)
    own.fit(train, validation)
    assert np.abs(own.streams(train.select(order))[0] - streams[0]).max() > 0


def test_fusion_on_validation_subjects_keeps_some_of_them_apart(context, quick, dataset, monkeypatch):
    _, validation, (streams, labels, held, held_labels) = fit_hybrid(context, dataset, monkeypatch)
    rows = np.concatenate([labels, held_labels])
    assert len(streams[0]) + len(held[0]) == len(validation) == len(rows)
    lengths = {len(dataset.records(subject).labels) for subject in validation.subjects}
    assert {len(labels), len(held_labels)} <= lengths


def test_fusion_can_be_shown_its_own_training_scores(context, quick, dataset, monkeypatch):
    quick.fusion.train_on = "train"
    train, validation, (_, labels, _, held_labels) = fit_hybrid(context, dataset, monkeypatch)
    np.testing.assert_array_equal(labels, train.labels)
    np.testing.assert_array_equal(held_labels, validation.labels)


def test_balanced_sampling_and_a_cnn_from_another_dataset_run_to_a_table(quick, tmp_path):
    quick.systems = ("anet_transfer", "anet")
    quick.folds = (1,)
    quick.cnn.sampling = "momu"
    quick.transfer.preset = "tiny"
    quick.transfer.render_seed = 7
    quick.transfer.subjects = 3
    results = run(quick, tmp_path / "run")
    assert list(results["systems"]) == ["anet_transfer", "anet"]
    assert 0 <= results["systems"]["anet_transfer"]["f1_frame"]["average"] <= 100
    workdir = tmp_path / "run"
    assert (workdir / "transfer/anet/finished.json").exists()
    model = files.read_npz(workdir / "fold_01/anet_transfer/model.npz")
    assert model["weights"].shape[1] == 12
    # The CNN of the other dataset is not the fold's own.
    other, own = (
        files.read_npz(folder / "anet/mean.npz")["mean"] for folder in (workdir / "transfer", workdir / "fold_01")
    )
    assert np.abs(other - own).max() > 1


def test_a_transfer_from_the_dataset_itself_is_refused(quick):
    quick.systems = ("anet_transfer",)
    quick.transfer.preset = quick.data.preset
    with pytest.raises(UserError, match="needs another one"):
        check_config(quick)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("protocol.split", "bp4d", "bp4d_3fold"),
        ("cnn.sampling", "balanced", "shuffle, momu"),
        ("fusion.train_on", "test", "validation, out_of_fold, train"),
        ("cnn.momu_draw", 0, "at least 1"),
        ("fusion.inner_folds", 1, "at least 2"),
    ],
)
def test_mistaken_choices_are_told_with_the_choices(quick, field, value, message):
    quick.update_from_flattened_dict({field: value})
    with pytest.raises(UserError, match=message):
        check_config(quick)


def test_a_published_split_of_other_size_is_refused(quick):
    quick.protocol.split = "bp4d_3fold"
    quick.protocol.folds = 10
    with pytest.raises(UserError, match="has 3 folds"):
        check_config(quick)


def test_a_negative_size_is_refused_and_another_size_is_another_dataset(quick):
    whole = make_reader(quick.data)
    quick.data.subjects = 3
    part = make_reader(quick.data)
    assert len({recording.subject for recording in part.recordings()}) == 3
    assert part.name != whole.name
    quick.data.subjects = -1
    with pytest.raises(UserError, match="config.data.subjects"):
        check_config(quick)
