"""Readers of raw layouts, by the name in `config.data.source`."""

from au_jax.config import DataConfig
from au_jax.data.readers.bp4d import Bp4dReader
from au_jax.data.readers.disfa import DisfaReader
from au_jax.data.readers.folder import FolderReader
from au_jax.data.readers.gft import GftReader
from au_jax.data.readers.synthfacs import SynthfacsReader
from au_jax.data.recordings import Reader
from au_jax.errors import ConfigError

READERS = {
    "bp4d": Bp4dReader,
    "disfa": DisfaReader,
    "folder": FolderReader,
    "gft": GftReader,
    "synthfacs": SynthfacsReader,
}


def make_reader(data: DataConfig) -> Reader:
    """Makes the reader that `config.data` names.

    Args:
      data: `config.data`.

    Raises:
      ConfigError: no such source; the line lists the choices. Or a field that the reader cannot use.

    Example:
      >>> make_reader(DataConfig(source="video"))
      Traceback (most recent call last):
      au_jax.errors.ConfigError: config.data.source is 'video'; choose one of bp4d, disfa, folder, gft, synthfacs
    """
    if data.source not in READERS:
        raise ConfigError(f"config.data.source is {data.source!r}; choose one of {', '.join(sorted(READERS))}")
    return READERS[data.source](data)
