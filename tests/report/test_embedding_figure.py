"""Fig. 3: nothing is cut off, the words say the numbers, and descriptors and people are those asked for."""

import numpy as np
import pytest

from au_jax.descriptors.vgg_face import LAYERS, VggFaceWeights
from au_jax.errors import CommandError
from au_jax.report import embedding_figure

# TFDS's and scikit-learn's own arithmetic mixes dtypes.
pytestmark = pytest.mark.optax


@pytest.mark.parametrize("panels", [1, 2, 3])
def test_embeddings_of_any_number_of_descriptors(panels, pixels_of):
    rng = np.random.default_rng(0)
    names = tuple(f"a person with the number {index}" for index in range(12))
    subject = np.repeat(np.arange(12), 20)
    shown = [
        embedding_figure.Embedding(
            name, rng.normal(size=(240, 2)), embedding_figure.Accuracy(0.81, 0.5), embedding_figure.Accuracy(0.4, 0.03)
        )
        for name in ("HOG", "VGG-Face", "fc7")[:panels]
    ]
    labels = rng.choice([-1, 0, 1], 240)
    drawing = embedding_figure.draw_embeddings(shown, 12, labels, subject, names, "Made up.")
    pixels_of(drawing)
    assert "240 frames of 12 people" in drawing.alt
    assert drawing.alt.count("AU 12 81 % (chance 50 %), subject 40 % (chance 3 %)") == panels


def test_fig3_leaves_vgg_face_out_and_says_where_to_get_it(finished, tmp_path, written, capsys):
    embedding_figure.save_fig3(finished, people=3, frames=30, out=tmp_path)
    assert "VGG-Face is left out: get vgg_face.mat" in capsys.readouterr().out
    assert written.is_whole("fig3")
    rows = written.rows("fig3")
    assert {row["descriptor"] for row in rows} == {"HOG", "fc7"}
    subject = [row for row in rows if row["target"] == "subject"]
    assert {round(float(row["chance"]), 3) for row in subject} == {0.333}
    points = written.rows("fig3_points")
    assert len(points) == 2 * 90 and len({row["subject"] for row in points}) == 3
    # Frames of a person are alike.
    hog = next(row for row in subject if row["descriptor"] == "HOG" and row["neighbours_in"] == "descriptor")
    assert float(hog["accuracy"]) > 0.5


def test_fig3_with_vgg_face_and_another_runs_network(finished, tmp_path, written, monkeypatch):
    rng, channels, params = np.random.default_rng(0), 3, {}
    for name in LAYERS:
        side = 1 if name.startswith("fc") else 3
        params[name] = {
            "kernel": rng.normal(size=(side, side, channels, 6)).astype(np.float32) * np.float32(0.2),
            "bias": np.full(6, 0.1, np.float32),
        }
        channels = 6
    monkeypatch.setattr(
        embedding_figure, "read_vgg_face", lambda path: VggFaceWeights(params, np.full(3, 100, np.float32))
    )
    embedding_figure.save_fig3(
        finished, other=finished, vgg_face=tmp_path / "vgg_face.mat", people=4, frames=8, out=tmp_path
    )
    rows = written.rows("fig3")
    assert {row["descriptor"] for row in rows} == {"HOG", "VGG-Face", "fc7"}
    assert len({row["subject"] for row in written.rows("fig3_points")}) == 4


def test_another_au_is_coloured_and_one_that_the_run_has_not_is_refused(finished, tmp_path, written):
    embedding_figure.save_fig3(finished, people=2, frames=12, au=4, out=tmp_path)
    assert {row["target"] for row in written.rows("fig3")} == {"AU 4", "subject"}
    assert set(written.rows("fig3_points")[0]) >= {"au4"}
    with pytest.raises(CommandError, match="--au=26: .* has the AUs 1, 2, 4"):
        embedding_figure.save_fig3(finished, people=2, frames=12, au=26, out=tmp_path)
