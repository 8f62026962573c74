"""ANet-T: a CNN from another dataset, and SVMs on its fc7."""

import numpy as np
import pytest

from au_jax import files
from au_jax.errors import ConfigError
from au_jax.run import check_config, run

pytestmark = pytest.mark.optax


@pytest.fixture
def quick(config):
    config.cnn.epochs = 1
    return config


@pytest.mark.slow
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
    with pytest.raises(ConfigError, match="needs another one"):
        check_config(quick)
