"""Reading and writing the files of a run: every write is atomic, and nothing that is read is executed."""

import contextlib
import fcntl
import hashlib
import io
import json
import os
import re
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from absl import logging

from au_jax.errors import DataError, UserError

_SEAL = 64  # characters of a SHA-256
_UNZIPPING = (zipfile.BadZipFile, zlib.error, struct.error, MemoryError)


@contextlib.contextmanager
def named(path: Path) -> Iterator[None]:
    """Puts the path into an error of writing to an open file, where the system leaves it out."""
    try:
        yield
    except OSError as error:
        if error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """Writes a file so that a reader finds the old content or the new, never a part.

    Raises:
      OSError: with the path in its text, where the disk is full or not writable; no partial file stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with named(path):
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
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
      DataError: the file is not JSON, with its path.
    """
    try:
        return json.loads(path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is damaged ({error}); delete it to have it made again") from error


def write_npz(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Writes named arrays atomically as an uncompressed npz of the same bytes for the same arrays.

    The archive's comment is the SHA-256 of all that stands before it: zip's own checksums do not cover its directory.
    """
    write_bytes(path, npz_bytes(arrays))


def npz_bytes(arrays: dict[str, np.ndarray]) -> bytes | memoryview:
    """What `write_npz` writes."""
    buffer = io.BytesIO()
    # numpy.savez stamps the entries with the time of day; a fixed stamp keeps equal runs equal to the byte.
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, np.asanyarray(array), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0)), content.getvalue())
        archive.comment = bytes(_SEAL)
    content = buffer.getbuffer()
    content[-_SEAL:] = hashlib.sha256(content[:-_SEAL]).hexdigest().encode()
    return content


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Reads named arrays, without pickle.

    Raises:
      DataError: the file is truncated, changed or not an npz, with its path.
    """
    try:
        with open(path, "rb") as stream:
            if not _is_unchanged(stream):
                raise ValueError("its content has changed")
            stream.seek(0)
            with np.load(stream, allow_pickle=False) as archive:
                return {name: archive[name] for name in archive.files}
    # What zipfile and NumPy raise for damaged files, depending on where the damage is.
    except (ValueError, TypeError, AttributeError, OSError, EOFError, LookupError, RuntimeError, *_UNZIPPING) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise DataError(f"{path} is damaged ({error}); delete it to have it made again") from error


def _is_unchanged(stream: IO[bytes]) -> bool:
    """Whether an npz agrees with its checksum; files of earlier versions have none."""
    size = stream.seek(0, io.SEEK_END)
    stream.seek(max(0, size - _SEAL))
    seal = stream.read()
    if not re.fullmatch(rb"[0-9a-f]{64}", seal):
        return True
    stream.seek(0)
    digest, left = hashlib.sha256(), size - _SEAL
    while left and (part := stream.read(min(left, 1 << 20))):
        digest.update(part)
        left -= len(part)
    return digest.hexdigest().encode() == seal


def is_whole_npz(path: Path) -> bool:
    """Whether an npz file is there and whole; a damaged one is deleted, with a warning, for it will be made again."""
    try:
        read_npz(path)
    except FileNotFoundError:
        return False
    except DataError as error:
        logging.warning("%s", str(error).replace("delete it to have it made again", "it is made again"))
        path.unlink()
        return False
    return True


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
