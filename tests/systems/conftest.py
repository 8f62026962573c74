"""The smoke configuration on one small prepared dataset, shared by the tests of this folder."""

import jax
import pytest

from au_jax.data.dataset import FaceDataset, FaceSet
from au_jax.logs import Costs, RunLog
from au_jax.prepare import prepare
from au_jax.systems import FoldContext
from configs import demo


@pytest.fixture
def config(data_directory):
    config = demo.get_config("smoke")
    config.data.directory = str(data_directory)
    config.protocol.folds = 2
    config.evaluation.bootstrap = 20
    return config


@pytest.fixture(scope="session")
def dataset(data_directory):
    config = demo.get_config("smoke")
    config.data.directory = str(data_directory)
    with jax.numpy_dtype_promotion("standard"):
        return FaceDataset(prepare(config.data))


@pytest.fixture
def context(config, data_directory, tmp_path):
    """A fold of one system, without a run around it."""
    jax.config.update("jax_compilation_cache_dir", str(data_directory / "compiled"))
    log = RunLog(tmp_path)
    yield FoldContext(config, 0, tmp_path / "fold_00", log, Costs(tmp_path))
    log.close()


@pytest.fixture
def parts(dataset):
    """Training, validation and test subjects, all with labels."""
    return tuple(FaceSet(dataset, group) for group in (("S001", "S002", "S003"), ("S004",), ("S005", "S006")))
