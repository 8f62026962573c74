"""Compiled programs on the disk: folds share them, and the next start reaches its first step without compiling."""

from pathlib import Path

import jax

from au_jax.config import Config


def keep_compiled(config: Config) -> Path:
    """Makes JAX keep what it compiles in `config.compiled`; returns the folder."""
    folder = Path(config.compiled or Path(config.data.directory) / "compiled").absolute()
    jax.config.update("jax_compilation_cache_dir", str(folder))
    # The small ones too: some ninety of 20 ms draw the first weights.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    return folder
