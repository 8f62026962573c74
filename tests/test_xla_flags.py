"""Convolutions on a CPU are Eigen's, and the user's own flags are kept."""

import importlib.metadata

import jax
import jax.numpy as jnp

from au_jax.xla_flags import EIGEN_CONVOLUTIONS, set_defaults


def test_the_flag_is_added_once_to_those_of_the_user():
    environment = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    set_defaults(environment, "0.10.2")
    set_defaults(environment, "0.10.2")
    assert environment == {"XLA_FLAGS": f"--xla_force_host_platform_device_count=2 {EIGEN_CONVOLUTIONS}"}
    environment = {}
    set_defaults(environment, "0.10.2")
    assert environment == {"XLA_FLAGS": EIGEN_CONVOLUTIONS}


def test_what_the_user_says_of_the_same_flag_holds():
    environment = {"XLA_FLAGS": "--xla_cpu_experimental_ynn_fusion_type="}
    set_defaults(environment, "0.10.2")
    assert environment == {"XLA_FLAGS": "--xla_cpu_experimental_ynn_fusion_type="}


def test_a_version_that_may_not_know_the_flag_is_left_alone():
    environment = {}
    set_defaults(environment, "0.11.0")
    assert environment == {}


def test_no_convolution_of_this_process_goes_to_ynnpack():
    # Should jaxlib have moved on, the flag is to be looked at anew: is it still known, and still of use?
    assert importlib.metadata.version("jaxlib").startswith("0.10.")
    images, kernel = jnp.ones((32, 44, 44, 48)), jnp.ones((3, 3, 48, 96))
    numbers = ("NHWC", "HWIO", "NHWC")

    def convolve(images, kernel):
        return jax.lax.conv_general_dilated(images, kernel, (1, 1), "VALID", dimension_numbers=numbers)

    program = jax.jit(convolve).lower(images, kernel).compile().as_text()
    assert "convolution(" in program
    assert "__ynn_fusion" not in program
