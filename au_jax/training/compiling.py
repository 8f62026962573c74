"""Compiled programs on the disk: folds share them, and the next start reaches its first step without compiling."""

from pathlib import Path

import jax

from au_jax.config import Config

LEAST_SECONDS = 0.2
"""Programs that compile faster are not kept."""


def keep_compiled(config: Config) -> Path:
    """Makes JAX keep what it compiles in `config.compiled`; returns the folder."""
    folder = Path(config.compiled or Path(config.data.directory) / "compiled").absolute()
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", LEAST_SECONDS)
    return folder
