"""Fig. 4: nothing is cut off, the words say the numbers, and the sums are those of the formula."""

import numpy as np
import pytest

from au_jax.descriptors.shape import shape
from au_jax.errors import CommandError
from au_jax.explain import feature_space
from au_jax.report import divergence_figure
from au_jax.report.face_samples import sample_faces
from au_jax.run_dir import TrainedFold

# TFDS's own arithmetic mixes dtypes.
pytestmark = pytest.mark.optax


def made_up_dataset(title, seed, spreads):
    rng = np.random.default_rng(seed)
    matrices = {
        name: feature_space.js_matrix(feature_space.distributions(np.abs(1 + spread * rng.normal(size=(12, 50)))))
        for name, spread in spreads.items()
    }
    replicates = feature_space.bootstrap_divergences(matrices, 50, seed=0)
    names = tuple(f"S{index}" for index in range(12))
    return divergence_figure.Divergences(
        title, "the other", matrices, dict.fromkeys(matrices, 50), replicates, 0.9, names
    )


def test_divergences_of_two_datasets_and_their_tables(pixels_of):
    spreads = {"fc7": 0.01, "HOG": 0.04, "Gabor": 0.1, "Shape": 0.3}
    datasets = [made_up_dataset("one (synthfacs bp4d_like)", 0, spreads), made_up_dataset("two (folder)", 1, spreads)]
    drawing = divergence_figure.draw_divergences(datasets)
    pixels_of(drawing)
    assert drawing.alt.index("fc7") < drawing.alt.index("HOG") < drawing.alt.index("Shape")
    rows = list(divergence_figure.divergence_rows(datasets))
    assert [(row["dataset"][:3], row["feature"]) for row in rows[3:5]] == [("one", "Shape"), ("two", "fc7")]
    sums = datasets[0].matrices["HOG"].sum(1)
    assert rows[1]["sum_mean"] == pytest.approx(sums.mean())
    assert rows[1]["by_log_dimensions_std"] == pytest.approx(sums.std() / np.log(50))
    assert rows[1]["log_of_millionths_mean"] == pytest.approx(np.log10(1e6 * sums).mean())
    assert rows[1]["low"] < rows[1]["log_of_millionths_mean"] < rows[1]["high"]
    assert (rows[0]["paper_bp4d"], rows[0]["paper_gft"]) == (3.58, 0.89)
    orders = list(divergence_figure.order_rows(datasets))
    assert orders[3]["order"] == "fc7 < HOG < Gabor < Shape" and orders[3]["share_of_resamplings"] == 1.0
    people = list(divergence_figure.subject_rows(datasets))
    assert len(people) == 24 and people[2]["subject"] == "S2" and people[2]["HOG"] == pytest.approx(sums[2])


def test_fig4_sums_are_those_of_the_formula(finished, tmp_path, written):
    divergence_figure.save_fig4(finished, people=3, frames=8, out=tmp_path)
    assert written.is_whole("fig4")
    run = TrainedFold(finished)
    sample = sample_faces(run.dataset, run.test_subjects, 3, 8)
    rows = feature_space.distributions(sample.subject_means(shape(sample.landmarks, 40)))
    sums = [sum(feature_space.js_divergence(p, q) for q in rows) for p in rows]
    found = written.rows("fig4_subjects")
    assert [row["subject"] for row in found] == list(sample.subjects)
    np.testing.assert_allclose([float(row["Shape"]) for row in found], sums, rtol=1e-4)
    table = {row["feature"]: row for row in written.rows("fig4")}
    assert list(table) == ["fc7", "HOG", "Gabor", "Shape"]
    assert float(table["Shape"]["sum_mean"]) == pytest.approx(np.mean(sums), rel=1e-4)
    assert [int(table[name]["dimensions"]) for name in ("HOG", "Gabor", "Shape")] == [6272, 1960, 98]
    assert len(written.rows("fig4_order")) == 4


def test_fig4_of_two_runs_shows_each_with_the_others_network(finished, tmp_path, written):
    divergence_figure.save_fig4(finished, other=finished, people=4, frames=4, median_of="abs", out=tmp_path)
    assert len(written.rows("fig4")) == 8
    with pytest.raises(CommandError, match="--median_of=mean: choose one of values, abs"):
        divergence_figure.save_fig4(finished, median_of="mean")
    with pytest.raises(CommandError, match="--people=2 are too few to compare; give --people=3"):
        divergence_figure.save_fig4(finished, people=2, frames=4)
