"""The stages of a fold at the paper's size, here at toy size."""

import pytest

from experiments import gpu_fold
from experiments.gpu_parts import PAPER, TINY, Row


def test_a_fold_has_the_frames_of_the_papers_protocol():
    count = gpu_fold.frames_of(PAPER, gpu_fold.fold_config(PAPER))
    assert count == {"train": 106_272, "validation": 26_568, "test": 14_760}  # 72, 18 and 10 %


def test_the_config_is_that_of_the_experiment():
    config = gpu_fold.fold_config(PAPER)
    assert (config.cnn.epochs, config.lstm.epochs, config.fusion.epochs) == (15, 10, 20)
    assert (config.data.image_size, config.data.crop_size, config.data.cache) == (200, 176, "device")


def test_a_fold_is_its_stages_each_as_often_as_it_is_done():
    rows = [
        Row(stage.name, "", "ours", "s", seconds)
        for stage, seconds in zip(gpu_fold.STAGES, (10, 7, 5, 2, 1), strict=True)
    ]
    assert gpu_fold.fold_seconds(rows, PAPER) == 15 * 10 + 7 + 5 + 10 * 2 + 20 * 1
    assert gpu_fold.fold_seconds(rows[1:], PAPER) is None


@pytest.mark.slow
@pytest.mark.optax
@pytest.mark.parametrize("spec", gpu_fold.specs(), ids=[stage.name for stage in gpu_fold.STAGES])
def test_every_stage_is_timed(spec):
    row = spec.measure(TINY)
    assert row.unit == "s" and row.rate is not None and row.rate > 0
    assert row.note.startswith("x ") and row.note.endswith(" s a fold")
