"""The list of a config's fields: every one has a meaning, the one that stands above it in configs/base.py."""

import json
import subprocess
import sys

import ml_collections
import pytest
from au_jax.config_fields import describe, fields

from configs import demo


def test_every_field_has_a_meaning_and_base_its_own_values():
    listed = list(fields(get_config()))
    assert [field.name for field in listed if not field.meaning] == []
    assert not any(field.changed for field in listed)
    as_read = ml_collections.ConfigDict(json.loads(get_config().to_json_best_effort()))
    assert not any(field.changed for field in fields(as_read))
    names = [field.name for field in listed]
    assert len(names) == len(set(names)) > 120
    # In the order of the file.
    assert names[:3] == ["seed", "folds", "systems"] and names[-1] == "evaluation.f1_norm"


@pytest.mark.parametrize(
    ("name", "beginning"),
    [
        ("seed", "Every random number of a run"),
        ("data.source", "Where the faces come from: synthfacs (rendered, needs no files); bp4d"),
        ("data.crop_size", "Side of a registered face in pixels"),
        ("cnn.optimizer.name", "caffe_sgd, torch_rmsprop or any optax optimizer"),
        ("cnn.optimizer.caffe_sgd.momentum", "Arguments of caffe_sgd"),
        ("lstm.plateau.factor", "As cnn.plateau"),
        ("lstm.optimizer.torch_rmsprop.eps", "Arguments of torch_rmsprop"),
        ("anet_transfer.costs", "Costs tried on the validation subjects"),
        ("fusion.dropout", "Units of the first layer, and the dropout"),
    ],
)
def test_meaning_is_the_comment_above(name, beginning):
    found = {field.name: field.meaning for field in fields(get_config())}
    assert found[name].startswith(beginning)


def test_text_tells_what_differs_from_base_and_a_shared_meaning_once():
    text = describe(demo.get_config())
    assert "--config.cnn.epochs=4    (configs/base.py: 15)\n" in text
    assert "\n--config.cnn.width=1.0\n" in text
    assert text.count("# Side of a registered face in pixels") == 1
    assert "--config.data.image_size=72    (configs/base.py: 200)\n--config.data.crop_size=68" in text


def test_command_lists_the_fields_as_they_are_set_and_needs_no_workdir():
    command = [sys.executable, "-m", "au_jax.main", "--config=configs/demo.py"]
    done = subprocess.run([*command, "--fields", "--config.cnn.epochs=7"], capture_output=True, text=True, check=True)
    assert "--config.cnn.epochs=7    (configs/base.py: 15)" in done.stdout
    refused = subprocess.run(command, capture_output=True, text=True)
    assert refused.returncode == 1 and "flag --workdir must have a value" in refused.stderr
