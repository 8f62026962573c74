"""Finished runs, opened by one call."""

from pathlib import Path

from au_jax import files
from au_jax.errors import UserError
from au_jax.inference.detector import read_config
from au_jax.run_dir import FinishedRun


def load_run(folder: str | Path) -> FinishedRun:
    """A run with its config, its results and every system's scores of the test subjects; its faces are not opened.

    Raises:
      UserError: the folder is no run, or has no results yet.
    """
    folder = Path(folder)
    config = read_config(folder)
    if not (folder / "results.json").exists():
        raise UserError(f"{folder} has no results.json; finish it with au_jax.main on this workdir")
    return FinishedRun(folder, config, None, files.read_json(folder / "results.json"))
