"""The config files of the package and the paper's settings: protocols, and networks of the paper's size."""

from pathlib import Path

import jax
import pytest

from au_jax.config import check_fields, config_names, find_file, load, typed
from au_jax.errors import ConfigError
from au_jax.systems.anet import initial_params, make_cnn
from au_jax.systems.lstm_trainer import initial_params as initial_lstm
from au_jax.systems.lstm_trainer import make_lstm

DATASETS = ("bp4d", "gft")


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
    config = load(f"{dataset}:{variant}")
    check_fields(config)
    assert config.protocol.folds == folds
    assert config.systems == systems
    assert config.data.preset == f"{dataset}_like"
    assert config.transfer.preset != config.data.preset
    published = dataset == "bp4d" and folds == 3
    assert config.protocol.split == ("bp4d_3fold" if published else "random")


@pytest.mark.parametrize("dataset", DATASETS)
def test_networks_have_the_papers_size(dataset):
    config = load(dataset)

    def size(init):
        return sum(leaf.size for leaf in jax.tree.leaves(jax.eval_shape(init, jax.random.key(0))))

    assert size(lambda key: initial_params(make_cnn(config.cnn, 12), config.data.crop_size, key)) == 45_383_052
    assert size(lambda key: initial_lstm(make_lstm(config.lstm, 12), config.lstm.pca_components, key)) == 2_365_452
    assert (config.cnn.batch_size, config.lstm.batch_size, config.lstm.sequence_length) == (196, 10, 1300)


@pytest.mark.parametrize("name", config_names())
def test_an_unknown_variant_is_refused_with_the_choices(name):
    with pytest.raises(ConfigError, match=f"{name}:5fold: .*choose"):
        load(f"{name}:5fold")


@pytest.mark.parametrize("name", [*config_names(), "demo:smoke", "bp4d:cross", "configs/demo.py:smoke"])
def test_every_config_file_is_valid(name, monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[1])
    check_fields(load(name))
    check_fields(typed(load(name)))


def test_a_file_wins_over_a_name_and_its_mistakes_are_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_file("demo:x").endswith("configs/demo.py:x")
    (tmp_path / "demo").write_text("import au_jax\n\ndef get_config():\n    return au_jax.get_config()\n")
    assert find_file("demo") == "demo" and load("demo").cnn.epochs == 15
    with pytest.raises(ConfigError, match="demo:x fails .TypeError: get_config.. takes 0 positional"):
        load("demo:x")
    with pytest.raises(ConfigError, match="no config file nosuch.py in .*give a path, or one of bp4d, demo"):
        load("nosuch.py")
