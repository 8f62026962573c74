"""What XLA is told before it starts: on a CPU, convolutions by Eigen and not by YNNPACK.

XLA of JAX 0.10 hands convolutions to YNNPACK, which computes some of the CNN's on one core only (conv1: 46 GFLOP/s where
Eigen reaches 200 on two cores). XLA reads its flags once, when the first array is made, so that `au_jax` sets this one when
it is imported. A flag that XLA does not know would end the process: other versions are left as they are.
"""

import contextlib
import importlib.metadata
import os
from collections.abc import MutableMapping

EIGEN_CONVOLUTIONS = "--xla_cpu_experimental_ynn_fusion_type=-individual_convolution"
"""Takes convolutions from what YNNPACK computes."""
KNOWN_TO = ("0.10.",)
"""Versions of jaxlib, by their beginning, that have the flag; accelerators' plugins of the same version have it too."""


def set_defaults(environment: MutableMapping[str, str], jaxlib: str) -> None:
    """Adds `EIGEN_CONVOLUTIONS` to XLA_FLAGS, unless jaxlib may not know the flag or it is set already.

    Args:
      environment: such as `os.environ`; changed in place.
      jaxlib: version.

    Example:
      >>> environment = {"XLA_FLAGS": "--xla_mine"}
      >>> set_defaults(environment, "0.0.1")
      >>> environment["XLA_FLAGS"]
      '--xla_mine'
    """
    flags = environment.get("XLA_FLAGS", "")
    if jaxlib.startswith(KNOWN_TO) and EIGEN_CONVOLUTIONS.split("=")[0] not in flags:
        environment["XLA_FLAGS"] = f"{flags} {EIGEN_CONVOLUTIONS}".strip()


# Detectors in ONNX files are run where there is no JAX.
with contextlib.suppress(importlib.metadata.PackageNotFoundError):
    set_defaults(os.environ, importlib.metadata.version("jaxlib"))
