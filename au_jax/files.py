"""Reading and writing the files of a run: every write is atomic, and nothing that is read is executed."""

import contextlib
import fcntl
import hashlib
import io
import json
import os
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from au_jax.errors import UserError


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file so that a reader finds the old content or the new, never a part.

    Raises:
      OSError: with the path in its text, where the disk is full or not writable; no partial file stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 text atomically."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Writes JSON atomically; NaN becomes null, keys keep their order."""
    write_text(path, json.dumps(_finite(value), indent=1, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Reads a JSON file of a run.

    Raises:
      UserError: the file is not JSON, with its path.
    """
    try:
        return json.loads(path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is damaged ({error}); delete it to have it made again") from error


def write_npz(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Writes named arrays atomically as an uncompressed npz of the same bytes for the same arrays."""
    write_bytes(path, npz_bytes(arrays))


def npz_bytes(arrays: dict[str, np.ndarray]) -> bytes:
    """What `write_npz` writes."""
    buffer = io.BytesIO()
    # numpy.savez stamps the entries with the time of day; a fixed stamp keeps equal runs equal to the byte.
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, np.asanyarray(array), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0)), content.getvalue())
    return buffer.getvalue()


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Reads named arrays, without pickle.

    Raises:
      UserError: the file is truncated or not an npz, with its path.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, KeyError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise UserError(f"{path} is damaged ({error}); delete it to have it made again") from error


def checksum(value: Any) -> str:
    """The SHA-256 of a JSON value in its canonical form."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


@contextlib.contextmanager
def locked(folder: Path, *, wait: bool = False) -> Iterator[None]:
    """Holds a folder for this process until the block ends; the operating system lets go when the process dies.

    Args:
      folder: made if missing.
      wait: for a process that holds it, instead of giving up; for what takes moments.

    Raises:
      UserError: another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "a+") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"{folder} is in use by another process; wait for it or choose another folder") from None
        yield


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, np.ndarray):
        return _finite(value.tolist())
    if isinstance(value, np.generic):
        return _finite(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
