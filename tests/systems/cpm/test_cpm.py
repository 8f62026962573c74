"""CPM on the tiny dataset: it adapts to test subjects by their faces alone, and every AU and frame has a score."""

import numpy as np
import pytest

from au_jax import files
from au_jax.errors import UserError
from au_jax.labels import PAPER_AUS
from au_jax.logs import read_metrics
from au_jax.run import check_config, run
from au_jax.systems.cpm import Cpm

pytestmark = pytest.mark.optax


def rows_of(scores, faces):
    return np.concatenate([scores[video.key] for video in faces.videos])


def fitted(context, train, validation):
    system = Cpm(context)
    system.fit(train, validation)
    return system


@pytest.mark.slow
def test_every_frame_of_unlabelled_test_subjects_has_finite_scores(context, parts, tmp_path):
    train, validation, test = parts
    system = fitted(context, train, validation)
    scores = system.score(test.without_labels())
    assert list(scores) == [video.key for video in test.videos]
    rows = rows_of(scores, test)
    assert rows.shape == (len(test), len(PAPER_AUS)) and rows.dtype == np.float32 and np.isfinite(rows).all()
    logged = read_metrics(tmp_path)
    assert logged["fold_00/cpm"][0]["pca_components"] == context.config.cpm.pca_components
    assert 1 <= logged["fold_00/cpm/adaptation"][0]["rounds"] <= context.config.cpm.iterations
    # It tells presence from absence on people whom it has seen.
    seen, labels = rows_of(system.score(train.without_labels()), train), train.labels
    margins = [seen[labels[:, au] > 0, au].mean() - seen[labels[:, au] < 0, au].mean() for au in (3, 5, 6)]
    assert min(margins) > 0.3


def test_a_second_start_reads_the_model_and_scores_alike(context, parts, monkeypatch):
    train, validation, test = parts
    first = fitted(context, train, validation).score(test)
    monkeypatch.setattr(Cpm, "_fit", lambda self, train: pytest.fail("fitted again"))
    again = fitted(context, train, validation).score(test)
    for key, rows in first.items():
        np.testing.assert_array_equal(rows, again[key])


def test_a_subject_is_scored_the_same_whoever_is_scored_beside(context, parts):
    train, validation, test = parts
    system = fitted(context, train, validation)
    together, alone = system.score(test), system.score(test.select(("S006",)))
    for key, rows in alone.items():
        np.testing.assert_allclose(rows, together[key], atol=1e-3)


def test_scores_are_those_of_the_subjects_own_classifiers(context, parts):
    """They differ from what the classifiers at the start say."""
    train, validation, test = parts
    system = fitted(context, train, validation)
    model = files.read_npz(context.directory / "cpm" / "model.npz")
    assert model["pairs"].shape == (len(PAPER_AUS), 2, context.config.cpm.pca_components + 1)
    np.testing.assert_array_equal(model["pairs"][:, 0], model["pairs"][:, 1])
    adapted = rows_of(system.score(test), test)
    context.config.cpm.iterations = 0
    start = rows_of(fitted(context, train, validation).score(test), test)
    assert np.abs(adapted - start).max() > 0.01


def test_an_au_of_one_class_gets_its_sign_everywhere(context, parts, monkeypatch):
    train, validation, test = parts
    labels = train.labels.copy()
    labels[:, 3], labels[:, 5], labels[:, 7] = -1, np.abs(labels[:, 5]), 0
    monkeypatch.setitem(train.__dict__, "labels", labels)
    rows = rows_of(fitted(context, train, validation).score(test), test)
    assert (rows[:, 3] == -1).all() and (rows[:, 5] == 1).all() and (rows[:, 7] == -1).all()
    assert np.ptp(rows[:, 4]) > 0


@pytest.mark.slow
def test_cpm_and_jpml_run_to_the_same_table_twice(config, tmp_path):
    config.systems, config.folds = ("cpm", "jpml"), (1,)
    results = run(config, tmp_path / "once")
    assert list(results["systems"]) == ["cpm", "jpml"]
    assert (tmp_path / "once/figures/patches.png").exists()
    run(config, tmp_path / "twice")
    for name in ("results.json", "fold_01/scores/cpm.npz", "fold_01/scores/jpml.npz"):
        assert (tmp_path / "once" / name).read_bytes() == (tmp_path / "twice" / name).read_bytes()


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("cpm.relabelling", "local", "localized, holistic"),
        ("cpm.iterations", 0, "at least 1"),
        ("cpm.window", 0, "at least 1"),
        ("jpml.alphas", (), "config.jpml.alphas is empty"),
    ],
)
def test_mistaken_settings_are_told_before_any_work(config, field, value, message):
    config.update_from_flattened_dict({field: value})
    with pytest.raises(UserError, match=message):
        check_config(config)
