"""Builds the pages of the programming interface from the docstrings: `make docs`. A warning is an error."""

import os
import pkgutil
import sys
import warnings
from pathlib import Path

warnings.simplefilter("error", UserWarning)
# What is inherited from TFDS, Flax and the like is not ours to mend.
warnings.filterwarnings(
    "ignore", r"Error parsing type annotation (.*utils\.VersionOrStr|.* for (?!au_jax|configs))", UserWarning
)

import pdoc  # noqa: E402
import pdoc.extract  # noqa: E402
import pdoc.render  # noqa: E402

import au_jax  # noqa: E402

# pdoc hides a default that is also in the environment, as if it were a secret; au_jax has just put one of its own there.
os.environ.pop("XLA_FLAGS", None)


def build(folder: Path) -> None:
    """Writes the pages of au_jax and configs, with index.html, into a folder."""
    for name in au_jax.__all__:
        # pdoc looks only at what has been imported.
        getattr(au_jax, name)
    pdoc.render.configure(docformat="google", footer_text=au_jax.__name__)
    specs = ["au_jax", "configs"]
    for found in pkgutil.walk_packages(au_jax.__path__, "au_jax."):
        # A package with __all__ hides its other modules.
        if found.name not in pdoc.extract.walk_specs(specs):
            specs.append(found.name)
    pdoc.pdoc(*specs, output_directory=folder)


if __name__ == "__main__":
    build(Path(sys.argv[1]))
