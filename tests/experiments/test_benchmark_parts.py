"""What the benchmark times does the work that it says."""

from dataclasses import replace

import numpy as np
import pytest

from experiments import benchmark_parts as parts

TINY = replace(
    parts.Sizes(), variant="demo", crop=64, inputs=6, hidden=4, layers=2, sequences=2, steps=5, frames=1, folds=2
)


def test_f1_is_counted_over_all_frames():
    (part,) = parts.metrics_parts(TINY)
    assert part.amount == 1000
    assert part.work == 1000 * 12 * (1 + 4)  # int8 labels and float32 scores are read once
    assert part.ours().shape == (12,)


def test_sequences_have_missing_labels_too():
    batch = parts.sequences(TINY, np.random.default_rng(0))
    assert batch["features"].shape == (2, 5, 6)
    assert batch["labels"].shape == (2, 5, 12)
    assert {*np.unique(batch["labels"])} <= {-1, 0, 1}


@pytest.mark.parametrize("sizes", [parts.Sizes(), parts.QUICK])
def test_the_papers_networks_are_timed(sizes):
    assert (sizes.variant, sizes.crop, sizes.hidden, sizes.layers, sizes.inputs) == ("drml_alexnet", 176, 256, 3, 1024)
