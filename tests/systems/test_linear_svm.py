"""Linear SVMs: the cost is chosen by validation, an AU of one class gets its sign, a second start reads the model."""

import numpy as np
import pytest

from au_jax import files
from au_jax.evaluation import metrics
from au_jax.logs import read_metrics
from au_jax.systems.linear_svm import LinearSvms


@pytest.fixture
def examples():
    """Labels of four AUs: one along the first axis, one along the second, one always present, one without labels."""
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(300, 6)).astype(np.float32)
    columns = [np.sign(rows[:, 0] + 0.2), np.sign(rows[:, 1]), np.ones(300), np.zeros(300)]
    return rows, np.stack(columns, 1).astype(np.int8)


@pytest.mark.optax
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
