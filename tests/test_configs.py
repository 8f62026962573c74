"""The configurations that the README names: protocols, and networks of the paper's size."""

import jax
import pytest

from au_jax.run import check_config
from au_jax.systems.anet import initial_params, make_cnn
from au_jax.systems.lstm_trainer import initial_params as initial_lstm
from au_jax.systems.lstm_trainer import make_lstm
from configs import base, bp4d, demo, gft

DATASETS = {"bp4d": bp4d, "gft": gft}


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize(
    ("variant", "folds", "systems"),
    [
        ("3fold", 3, ("hog_svm", "cpm", "jpml", "anet", "hybrid")),
        ("10fold", 10, ("hog_svm", "cpm", "jpml", "anet", "hybrid")),
        ("cross", 3, ("hog_svm", "anet_transfer")),
    ],
)
def test_protocols_of_the_paper(dataset, variant, folds, systems):
    config = DATASETS[dataset].get_config(variant)
    check_config(config)
    assert config.protocol.folds == folds
    assert config.systems == systems
    assert config.data.preset == f"{dataset}_like"
    assert config.transfer.preset != config.data.preset
    published = dataset == "bp4d" and folds == 3
    assert config.protocol.split == ("bp4d_3fold" if published else "random")


@pytest.mark.parametrize("dataset", DATASETS)
def test_networks_have_the_papers_size(dataset):
    config = DATASETS[dataset].get_config("3fold")

    def size(init):
        return sum(leaf.size for leaf in jax.tree.leaves(jax.eval_shape(init, jax.random.key(0))))

    assert size(lambda key: initial_params(make_cnn(config.cnn, 12), config.data.crop_size, key)) == 45_383_052
    assert size(lambda key: initial_lstm(make_lstm(config.lstm, 12), config.lstm.pca_components, key)) == 2_365_452
    assert (config.cnn.batch_size, config.lstm.batch_size, config.lstm.sequence_length) == (196, 10, 1300)


@pytest.mark.parametrize("module", [bp4d, gft, demo])
def test_an_unknown_variant_is_refused_with_the_choices(module):
    with pytest.raises(ValueError, match="choose"):
        module.get_config("5fold")


def test_base_and_demo_are_valid():
    for config in (base.get_config(), demo.get_config(), demo.get_config("smoke")):
        check_config(config)
