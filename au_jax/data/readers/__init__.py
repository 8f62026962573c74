"""Readers of raw layouts, by the name in `config.data.source`."""

from au_jax.config import Config
from au_jax.data.readers.bp4d import Bp4dReader
from au_jax.data.readers.disfa import DisfaReader
from au_jax.data.readers.folder import FolderReader
from au_jax.data.readers.gft import GftReader
from au_jax.data.readers.synthfacs import SynthfacsReader
from au_jax.data.recordings import Reader
from au_jax.errors import UserError

READERS = {
    "bp4d": Bp4dReader,
    "disfa": DisfaReader,
    "folder": FolderReader,
    "gft": GftReader,
    "synthfacs": SynthfacsReader,
}


def make_reader(data: Config) -> Reader:
    """Makes the reader that `config.data` names.

    Raises:
      UserError: no such source; the line lists the choices.
    """
    if data.source not in READERS:
        raise UserError(f"config.data.source is {data.source!r}; choose one of {', '.join(sorted(READERS))}")
    return READERS[data.source](data)
