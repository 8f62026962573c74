"""Settings of every test: two virtual devices, strict promotion, no accelerator."""

import os

# Before JAX is imported: two devices on the CPU, so that data parallelism is tested everywhere.
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=2"
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import jax
import pytest

# Silent broadcasting over a missing axis is a classic bug of array code.
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture(autouse=True)
def promotion(request):
    """Silent changes of dtype are another; optax's own arithmetic mixes dtypes and is let off where it is marked."""
    mode = "standard" if request.node.get_closest_marker("optax") else "strict"
    with jax.numpy_dtype_promotion(mode):
        yield
