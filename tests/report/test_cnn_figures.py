"""Figs. 2 and 5: nothing is cut off, the words say the numbers, and the numbers are those of the trained CNN."""

import numpy as np
import pytest

from au_jax.errors import CommandError
from au_jax.labels import PAPER_AUS
from au_jax.report import cnn_figures
from au_jax.training.best_params import best_params

# TFDS's and scikit-learn's own arithmetic mixes dtypes.
pytestmark = pytest.mark.optax


@pytest.mark.parametrize("networks", [1, 2])
@pytest.mark.parametrize("shape", [(11, 11, 3, 96), (5, 5, 3, 16), (3, 3, 3, 7)])
def test_filters_of_any_number_and_size(networks, shape, pixels_of):
    rng = np.random.default_rng(0)
    grey = np.repeat(rng.normal(size=(*shape[:2], 1, shape[3])), 3, axis=2)
    pairs = [("faces", grey), ("things", rng.normal(size=shape))][:networks]
    drawing = cnn_figures.draw_filters(pairs)
    pixels_of(drawing)
    assert "faces 0 %" in drawing.alt and ("things" in drawing.alt) == (networks == 2)
    rows = list(cnn_figures.filter_rows(pairs))
    assert len(rows) == networks * (shape[3] + 1)
    assert rows[0] == {"network": "faces", "filter": "all", "energy": pytest.approx(np.square(grey).sum()),
                       "chromatic_share": pytest.approx(0, abs=1e-12)}  # fmt: skip


def test_optimal_inputs_and_their_numbers(pixels_of):
    rng = np.random.default_rng(0)
    scores = np.eye(12) * 5.0
    scores[3, 4] = 6.0  # the image for AU 6 scores AU 7 higher, and more than AU 7's own
    energy = np.full((12, 12), 0.1)
    np.fill_diagonal(energy, 0.4)
    inputs = cnn_figures.OptimalInputs(
        "a net", "paper", 10, PAPER_AUS, rng.normal(size=(12, 20, 20, 3)) * 30, np.full((20, 20, 3), 120.0), scores, energy,
        np.full(12, 0.2),
    )  # fmt: skip
    drawing = cnn_figures.draw_optimal_inputs(inputs)
    pixels_of(drawing)
    assert "On 11 of 12 images" in drawing.alt and "11 of 12 AUs score no other" in drawing.alt
    assert "2.0 times the energy of chance and 4.0 times that of other AUs' images" in drawing.alt
    row = list(cnn_figures.optimal_score_rows(inputs))[3]
    assert (row["made_for_au"], row["au6"], row["au7"], row["own_is_highest"]) == (6, 5.0, 6.0, False)
    row = list(cnn_figures.optimal_energy_rows(inputs))[0]
    assert row == {"au": 1, "energy_in_region": 0.4, "area_of_region": 0.2,
                   "others_energy_in_region": pytest.approx(0.1)}  # fmt: skip


def test_optimal_inputs_of_zero_are_grey(pixels_of):
    zeros = np.zeros((12, 20, 20, 3))
    inputs = cnn_figures.OptimalInputs(
        "n", "p", 1, PAPER_AUS, zeros, zeros[0] + 127.5, np.eye(12), np.zeros((12, 12)), np.full(12, 0.1)
    )
    drawing = cnn_figures.draw_optimal_inputs(inputs)
    pixels = pixels_of(drawing)
    assert "0.0 times the energy of chance" in drawing.alt
    assert set(np.unique(pixels[60:200, 60:200])) <= {127, 128}


@pytest.mark.parametrize("aus", [(12,), (1, 2, 4, 6, 12, 25, 26), tuple(range(1, 26))])
def test_optimal_inputs_of_any_aus(aus, pixels_of):
    count = len(aus)
    energy, area = np.full((count, count), 0.1), np.full(count, 0.2)
    # AU 25 and others do not move synthfacs' faces.
    area[1::2] = energy[:, 1::2] = np.nan
    images = np.random.default_rng(0).normal(size=(count, 20, 20, 3))
    inputs = cnn_figures.OptimalInputs(
        "n", "p", 1, aus, images, np.full((20, 20, 3), 120.0), np.eye(count), energy, area
    )
    drawing = cnn_figures.draw_optimal_inputs(inputs)
    pixels_of(drawing)
    assert len(drawing.figure.axes) == count and f"On {count} of {count} images" in drawing.alt
    assert "0.5 times the energy of chance" in drawing.alt and "nan" not in drawing.alt
    assert ("other AUs' images" in drawing.alt) == (count > 1)
    labels = [axes.get_xlabel() for axes in drawing.figure.axes]
    assert ["of the energy" in label for label in labels] == np.isfinite(area).tolist()
    assert [row["au"] for row in cnn_figures.optimal_energy_rows(inputs)] == list(aus)


def test_an_au_that_synthfacs_does_not_move_has_no_region():
    regions, known = cnn_figures.moved_regions(40, slice(2, 38), (99, 12))
    assert known.tolist() == [False, True] and regions[1].any() and not regions[0].any()


def test_fig2_has_the_filters_of_the_checkpoint(finished, tmp_path, written):
    cnn_figures.save_fig2(finished, finished, fold=1, out=tmp_path)
    assert written.is_whole("fig2")
    rows = written.rows("fig2")
    kernel = best_params(finished / "fold_01" / "anet")["conv1"]["kernel"]
    assert len(rows) == 2 * (kernel.shape[3] + 1)
    energy = np.square(kernel[..., 4]).sum()
    chromatic = np.square(kernel[..., 4] - kernel[..., 4].mean(2, keepdims=True)).sum()
    assert float(rows[5]["energy"]) == pytest.approx(energy, rel=1e-4)
    assert float(rows[5]["chromatic_share"]) == pytest.approx(chromatic / energy, rel=1e-4)
    # The other run's fold 0 is another network.
    assert rows[0]["chromatic_share"] != rows[kernel.shape[3] + 1]["chromatic_share"]


def test_fig5_shows_all_aus_and_its_scores_are_the_networks(finished, tmp_path, written):
    cnn_figures.save_fig5(finished, preset="yosinski1", iterations=30, out=tmp_path)
    assert written.is_whole("fig5")
    rows = written.rows("fig5")
    assert [int(row["made_for_au"]) for row in rows] == list(PAPER_AUS)
    for row in rows:
        scores = {au: float(row[f"au{au}"]) for au in PAPER_AUS}
        assert (row["own_is_highest"] == "True") == (max(scores, key=scores.get) == int(row["made_for_au"]))
    energy = written.rows("fig5_energy")
    assert all(0 < float(row["energy_in_region"]) < 1 for row in energy)


def test_regions_are_where_the_aus_are():
    regions, known = cnn_figures.moved_regions(200, slice(12, 188), PAPER_AUS)
    assert regions.shape == (12, 176, 176) and known.all()
    rows = {au: np.flatnonzero(regions[index].any(1)) + 12 for index, au in enumerate(PAPER_AUS)}
    for au in (1, 2, 4):  # brows, above the eyes at 65
        assert rows[au].max() < 75
    for au in (12, 15, 17, 23, 24):  # mouth and chin, below the nose's tip at 100
        assert rows[au].min() > 85
    # The template's middle is at x = 100, between columns 87 and 89 of the crop.
    # A last pixel of a region may fall to either side.
    assert (regions[:, :, :0:-1] != regions[:, :, 1:]).sum() <= 2 * 12
    # The same at another size, of which the CNN sees another crop.
    small, _ = cnn_figures.moved_regions(100, slice(6, 94), PAPER_AUS)
    np.testing.assert_allclose(small.mean((1, 2)), regions.mean((1, 2)), atol=0.01)


def test_settings_are_the_presets_unless_asked_otherwise():
    assert cnn_figures.ascent_settings("paper", 0).iterations == 10_000
    assert cnn_figures.ascent_settings("yosinski2", 7).iterations == 7
    with pytest.raises(CommandError, match="--preset=best: choose one of paper, yosinski1"):
        cnn_figures.ascent_settings("best", 0)
    with pytest.raises(CommandError, match="--iterations=-1"):
        cnn_figures.ascent_settings("paper", -1)
