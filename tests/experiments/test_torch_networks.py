"""The networks of the benchmark are the same in PyTorch as here: as many parameters, outputs of the same shape."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from au_jax.models.cnn import AlexNet

torch = pytest.importorskip("torch")
from experiments import torch_networks  # noqa: E402


def count(params):
    return sum(leaf.size for leaf in jax.tree.leaves(params))


def torch_count(network):
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize("variant", ["drml_alexnet", "bvlc_alexnet"])
def test_the_cnn_has_as_many_parameters(variant):
    ours = jax.eval_shape(
        AlexNet(num_outputs=12, variant=variant).init, jax.random.key(0), jnp.zeros((1, 176, 176, 3))
    )["params"]
    assert torch_count(torch_networks.cnn(variant, 176)) == count(ours)


def test_a_frames_scores_are_of_twelve_aus():
    network = torch_networks.cnn("drml_alexnet", 112)
    assert torch_networks.infer(network, np.zeros((2, 112, 112, 3), np.float32)).shape == (2, 12)
