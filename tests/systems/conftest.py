"""The smoke configuration on one small prepared dataset, shared by the tests of this folder."""

import jax
import pytest

from au_jax.data.dataset import FaceDataset
from au_jax.prepare import prepare
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
