"""What TensorBoard is given, read back from the event files."""

import io

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from au_jax.labels import PAPER_AUS
from au_jax.logs import RunLog, read_metrics, tiled
from au_jax.systems.base import validation_metrics


def _events(folder):
    events = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    events.Reload()
    return events


def _picture(events, name, index=0):
    # A picture's tensor is its width, its height, and PNGs.
    content = events.Tensors(name)[index].tensor_proto.string_val
    return np.asarray(Image.open(io.BytesIO(content[2])))


def test_scalars_and_pictures_are_in_the_stages_events(tmp_path):
    log = RunLog(tmp_path)
    crops = np.random.default_rng(0).integers(0, 256, (3, 40, 40, 3), np.uint8)
    for epoch in (0, 1):
        log.write("fold_00/anet/cnn", epoch, {"train_loss": 1.5 - epoch, "validation_f1/AU12": 0.25})
    log.write_images("fold_00/anet/cnn", 0, "crops", crops)
    log.close()
    events = _events(tmp_path / "logs" / "fold_00" / "anet" / "cnn")
    assert set(events.Tags()["tensors"]) == {"train_loss", "validation_f1/AU12", "crops"}
    assert [event.step for event in events.Tensors("train_loss")] == [0, 1]
    shown = _picture(events, "crops")
    assert shown.shape == (82, 82, 3)
    np.testing.assert_array_equal(shown[:40, 42:], crops[1])
    assert read_metrics(tmp_path)["fold_00/anet/cnn"][1] == {
        "stage": "fold_00/anet/cnn",
        "epoch": 1,
        "train_loss": 0.5,
        "validation_f1/AU12": 0.25,
    }


def test_pictures_stand_in_rows_and_small_ones_are_enlarged():
    pictures = np.stack([np.full((11, 11, 3), value) for value in (0.0, 0.2, 0.4, 0.6, 0.8)])
    grid = tiled(pictures)
    # Enlarged twice to 22; three in a row, two rows; two pixels between; the free place is grey.
    assert grid.shape == (46, 70, 3) and grid.dtype == np.float32
    for index in range(5):
        row, column = divmod(index, 3)
        np.testing.assert_allclose(grid[24 * row :, 24 * column :][:22, :22], 0.2 * index, atol=1e-6)
    assert (grid[24:, 48:] == 0.5).all() and (grid[22:24] == 0.5).all()


def test_validation_figures_have_every_au_whose_f1_is_defined():
    labels = np.full((4, 12), -1, np.int8)
    labels[:2, 0] = labels[:3, 6] = 1
    scores = np.full((4, 12), -1.0, np.float32)
    scores[0, 0] = scores[:3, 6] = 1.0
    metrics = validation_metrics(scores, labels, lambda scores, labels: np.zeros(4, np.float32), PAPER_AUS)
    # AU 1: one hit, one miss: 2 / (2 + 1). AU 12: all hits. The others never occur.
    assert {name: value for name, value in metrics.items() if "/" in name} == {
        "f1/AU01": pytest.approx(2 / 3),
        "f1/AU12": 1.0,
    }
    assert metrics["f1"] == pytest.approx((2 / 3 + 1) / 2)


def test_a_run_shows_losses_rates_every_aus_f1_crops_and_filters(finished):
    events = _events(finished / "logs" / "fold_00" / "anet" / "cnn")
    tags = set(events.Tags()["tensors"])
    assert {"train_loss", "learning_rate", "validation_loss", "validation_f1", "crops", "filters of conv1"} <= tags
    assert len([tag for tag in tags if tag.startswith("validation_f1/AU")]) >= 8
    # 16 crops of 36 pixels, four in a row; filters after both epochs, which have changed.
    assert _picture(events, "crops").shape == (4 * 38 - 2, 4 * 38 - 2, 3)
    first, second = (_picture(events, "filters of conv1", index) for index in (0, 1))
    assert first.shape == second.shape and (first != second).any()
    assert any(
        tag.startswith("validation_f1/AU") for tag in _events(finished / "logs/fold_01/hybrid/lstm").Tags()["tensors"]
    )
