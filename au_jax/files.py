"""Reading and writing files: every write goes through `opened`, is whole or not at all, and nothing that is read is executed."""

import contextlib
import fcntl
import hashlib
import io
import json
import math
import os
import re
import secrets
import shutil
import stat
import struct
import sys
import tempfile
import tokenize
import zipfile
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from absl import logging

from au_jax.errors import DataError, UserError

DAMAGE: tuple[type[Exception], ...] = (
    *(ValueError, TypeError, AttributeError, OSError, EOFError, LookupError, RuntimeError, ArithmeticError),
    *(SyntaxError, MemoryError, tokenize.TokenError, zipfile.BadZipFile, zlib.error, struct.error),
)
"""What zipfile, NumPy and the parsers raise for damaged content, depending on where the damage is."""

_SEAL = 64  # characters of a SHA-256
_SUM = "sha256"  # key of a JSON file's own checksum
_LONGEST_JSON = 1 << 29  # bytes; Python needs some times as many
_LONGEST_HEADER = 10_000  # bytes of the text that describes an array
_FOLD = re.compile(r"fold_[0-9]{2,}")
_AGAIN = "delete it to have it made again"


@contextlib.contextmanager
def named(path: str | Path) -> Iterator[None]:
    """Puts the path into an error of writing to an open file, where the system leaves it out.

    Example:
      >>> with named("run/config.json"):
      ...     raise OSError(28, "No space left on device")
      Traceback (most recent call last):
      OSError: [Errno 28] No space left on device: 'run/config.json'
    """
    try:
        yield
    except OSError as error:
        if error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


@contextlib.contextmanager
def opened(path: str | Path, *, live: bool = False) -> Iterator[IO[bytes]]:
    """Opens a file for writing; all that au_jax writes comes through here.

    A file keeps its old content until the block has ended without an error, and then gets the new as a whole. It keeps its
    mode; a new one's is what the umask leaves of 0o666. Links are followed. Devices, FIFOs and what is open already, such as
    /dev/stdout, are written to, when the block has ended.

    Args:
      path: its folder is made if missing.
      live: every flush reaches the file at once, and what was written before an error stays: for what others watch.

    Yields:
      A binary stream; one can seek in it unless it is live.

    Raises:
      OSError: with the path, where the disk is full or not writable.

    Example:
      >>> folder = Path(tempfile.mkdtemp())
      >>> with opened(folder / "a.txt") as stream:
      ...     _ = stream.write(b"whole")
      ...     before = (folder / "a.txt").exists()
      >>> before, (folder / "a.txt").read_text(), len(list(folder.iterdir()))
      (False, 'whole', 1)
    """
    with named(path):
        descriptor = _open_descriptor(path)
        mode = None if descriptor is not None else _mode(path)
        special = descriptor is not None or (mode is not None and not stat.S_ISREG(mode))
        target = Path(os.path.realpath(path))
        if special or live:
            if not special:
                target.parent.mkdir(parents=True, exist_ok=True)
            if special and not live:
                with tempfile.TemporaryFile() as scratch:
                    yield scratch
                    scratch.seek(0)
                    with _through(path, descriptor) as stream:
                        shutil.copyfileobj(scratch, stream)
            else:
                with _through(path, descriptor) as stream:
                    yield stream
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch, stream = _scratch(target, mode)
        try:
            with stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
                os.replace(scratch, target)
        finally:
            scratch.unlink(missing_ok=True)


def _through(path: str | Path, descriptor: int | None) -> IO[bytes]:
    """What is there, open for writing; one that is open already is gone on with where it stands."""
    if descriptor is None:
        return open(path, "wb")
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(ValueError):  # it is closed
            stream.flush()
    return os.fdopen(os.dup(descriptor), "wb")


def _open_descriptor(path: str | Path) -> int | None:
    """The number behind names of what the process has open, such as /dev/stdout, /dev/fd/3 and links to them."""
    own = {"/dev/fd", os.path.realpath("/proc/self/fd")}
    current = os.fspath(path)
    for _ in range(40):  # as many links as Linux follows
        folder, name = os.path.realpath(os.path.dirname(current) or "."), os.path.basename(current)
        if folder in own and name.isdecimal():
            return int(name)
        if not os.path.islink(current):
            return None
        current = os.path.join(folder, os.readlink(current))
    return None


def _mode(path: str | Path) -> int | None:
    """Kind and permissions of what is there, links followed; None where there is nothing."""
    try:
        return os.stat(path).st_mode
    except FileNotFoundError:
        return None


def _scratch(target: Path, mode: int | None) -> tuple[Path, IO[bytes]]:
    """A new file beside the target, held by this process, and open; those that killed processes left for it are removed."""
    name = target.name
    # With the rest of the name, a long one would be too long.
    stem = f".{name if len(os.fsencode(name)) < 200 else checksum(name)[:16]}."
    for entry in os.scandir(target.parent):
        if entry.name.startswith(stem) and entry.name.endswith(".partial"):
            _remove_unless_held(entry.path)
    while True:
        scratch = target.with_name(f"{stem}{secrets.token_hex(4)}.partial")
        descriptor = os.open(scratch, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # another process takes it for a rest
            os.close(descriptor)
            continue
        except OSError:
            pass  # a file system without locks: nothing is removed there either
        if os.fstat(descriptor).st_nlink == 0:
            os.close(descriptor)
            continue
        if mode is not None:
            os.fchmod(descriptor, stat.S_IMODE(mode))
        return scratch, os.fdopen(descriptor, "w+b")


def _remove_unless_held(path: str) -> None:
    with contextlib.suppress(OSError), open(path, "rb") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(path)


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """Writes a file so that a reader finds the old content or the new, never a part.

    Raises:
      OSError: with the path in its text, where the disk is full or not writable; no partial file stays.

    Example:
      >>> write_bytes(folder / "deep" / "a.bin", b"abc")  # makes the folder too
      >>> (folder / "deep" / "a.bin").read_bytes()
      b'abc'
    """
    with opened(path) as stream:
        stream.write(content)


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 text atomically.

    Example:
      >>> write_text(folder / "a.txt", "naïve")
      >>> (folder / "a.txt").stat().st_size  # ï has two bytes
      6
    """
    write_bytes(path, text.encode())


def append_line(path: Path, line: str) -> None:
    """Adds a line of text to the end of a file; one that a kill cut short before it stays a line of its own.

    Raises:
      OSError: with the path in its text.

    Example:
      >>> write_text(folder / "log.txt", "cut sho")
      >>> append_line(folder / "log.txt", "next")
      >>> (folder / "log.txt").read_text().splitlines()
      ['cut sho', 'next']
    """
    with named(path), open(path, "ab+") as stream:
        size = stream.seek(0, io.SEEK_END)
        stream.seek(max(0, size - 1))
        begin = b"" if stream.read() in (b"", b"\n") else b"\n"
        stream.write(begin + line.encode() + b"\n")


def write_json(path: Path, value: Any, seal: bool = False) -> None:
    """Writes JSON atomically; NaN becomes null, keys keep their order.

    Args:
      path: file to write.
      value: of JSON, NumPy's numbers and arrays included.
      seal: of a dict: adds "sha256", a checksum over the others and the file's place in its fold, or its name. `read_json`
        checks it and takes it away.

    Example:
      >>> write_json(folder / "result.json", {"f1": np.float32(0.5), "auc": math.nan})
      >>> json.loads((folder / "result.json").read_text())
      {'f1': 0.5, 'auc': None}
    """
    value = _finite(value)
    if seal:
        value = {**value, _SUM: checksum([place_of(path) or path.name, value])}
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def read_json(path: Path, sealed: bool = False) -> Any:
    """Reads a JSON file of a run or a dataset.

    Args:
      path: the file.
      sealed: refuse a file without a seal (`write_json`). A seal that is there is always checked.

    Raises:
      DataError: the file is not JSON, larger than any that is written, or has another content than it was sealed with; with
        its path.

    Example:
      >>> path = folder / "sealed.json"
      >>> write_json(path, {"epochs": 3}, seal=True)
      >>> read_json(path, sealed=True)
      {'epochs': 3}
      >>> write_text(path, path.read_text().replace("epochs", "steps"))
      >>> read_json(path)  # doctest: +ELLIPSIS
      Traceback (most recent call last):
      au_jax.errors.DataError: .../sealed.json is damaged (its content or its place has changed); delete it to have it made again
    """
    try:
        with open(path, "rb") as stream:
            content = stream.read(_LONGEST_JSON + 1)
        if len(content) > _LONGEST_JSON:
            raise ValueError(f"it has more than {_LONGEST_JSON >> 20} MiB")
        value = json.loads(content.decode())
        seal = value.pop(_SUM, None) if isinstance(value, dict) else None
        known = _seals(path, value)
        if (sealed or seal is not None) and seal not in known:
            raise ValueError("its content or its place has changed")
        if seal is None and isinstance(value, dict) and _is_sealed_otherwise(path, value):
            raise ValueError(f"the name of its checksum, {_SUM}, has changed")
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is damaged ({one_line(error)}); {_AGAIN}") from error
    return value


def _seals(path: Path, value: Any) -> set[str]:
    """The seals of a content at a place. Outside folds, those of earlier versions do not know their file's name."""
    place = place_of(path)
    return {checksum([place or path.name, value]), checksum([place, value])}


def _is_sealed_otherwise(path: Path, value: dict[str, Any]) -> bool:
    """Whether the seal is there under another name: without it the file would pass for one that was never sealed."""
    return any(
        text in _seals(path, {other: value[other] for other in value if other != name})
        for name, text in value.items()
        if isinstance(text, str) and len(text) == 64
    )


def write_npz(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Writes named arrays atomically as an uncompressed npz of the same bytes for the same arrays.

    The archive's comment is the file's place in its fold, such as fold_00/anet/mean.npz, and the SHA-256 of all that stands
    before it: zip's own checksums do not cover its directory.

    Example:
      >>> for name in ("a.npz", "b.npz"):
      ...     write_npz(folder / name, {"mean": np.zeros(3)})
      >>> (folder / "a.npz").read_bytes() == (folder / "b.npz").read_bytes()
      True
    """
    write_bytes(path, npz_bytes(arrays, place_of(path)))


def npz_bytes(arrays: dict[str, np.ndarray], place: str = "") -> bytes | memoryview:
    """What `write_npz` writes.

    Example:
      >>> zipfile.ZipFile(io.BytesIO(npz_bytes({"mean": np.arange(3)}))).namelist()
      ['mean.npy']
    """
    buffer = io.BytesIO()
    # numpy.savez stamps the entries with the time of day; a fixed stamp keeps equal runs equal to the byte.
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, np.asanyarray(array), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0)), content.getvalue())
        archive.comment = place.encode() + bytes(_SEAL)
    content = buffer.getbuffer()
    content[-_SEAL:] = hashlib.sha256(content[:-_SEAL]).hexdigest().encode()
    return content


def read_npz(path: Path, only: Collection[str] | None = None) -> dict[str, np.ndarray]:
    """Reads named arrays, without pickle; needs no more memory than the file has bytes, twice.

    Args:
      path: the file.
      only: names of arrays; the others are not unpacked, which in a file of thousands saves the time. None: all.

    Raises:
      DataError: the file is truncated, changed, no npz of this package or NumPy's `savez`, or that of another place; with
        its path.

    Example:
      >>> write_npz(folder / "mean.npz", {"mean": np.arange(3)})
      >>> read_npz(folder / "mean.npz")
      {'mean': array([0, 1, 2])}
      >>> read_npz(folder / "mean.npz", only=("size",))
      {}
    """
    try:
        with open(path, "rb") as stream:
            if not _is_unchanged(stream):
                raise ValueError("its content has changed")
            stream.seek(0)
            arrays, comment = _read_arrays(stream, only)
    except DAMAGE as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise DataError(f"{path} is damaged ({one_line(error)}); {_AGAIN}") from error
    place, here = comment[:-_SEAL].decode(errors="replace"), place_of(path)
    if place and here and place != here:
        raise MisplacedError(f"{path} is the file {place} of a run; put it back, or {_AGAIN}")
    return arrays


class MisplacedError(DataError):
    """A whole file of a run that lies where another belongs.

    Example:
      >>> write_npz(folder / "fold_00" / "pca.npz", {"mean": np.zeros(3)})
      >>> write_bytes(folder / "fold_01" / "pca.npz", (folder / "fold_00" / "pca.npz").read_bytes())
      >>> read_npz(folder / "fold_01" / "pca.npz")  # doctest: +ELLIPSIS
      Traceback (most recent call last):
      au_jax.files.MisplacedError: .../fold_01/pca.npz is the file fold_00/pca.npz of a run; put it back, or delete it ...
    """


def npz_arrays(content: bytes) -> dict[str, np.ndarray]:
    """The arrays of an npz in memory; raises what `DAMAGE` lists.

    Example:
      >>> npz_arrays(bytes(npz_bytes({"mean": np.arange(3)})))
      {'mean': array([0, 1, 2])}
    """
    if not _is_unchanged(io.BytesIO(content)):
        raise ValueError("its content has changed")
    return _read_arrays(io.BytesIO(content))[0]


def _read_arrays(stream: io.BufferedIOBase, only: Collection[str] | None = None) -> tuple[dict[str, np.ndarray], bytes]:
    arrays = {}
    with zipfile.ZipFile(stream) as archive:
        for entry in stored_entries(archive):
            if not entry.filename.endswith(".npy"):
                raise ValueError(f"{entry.filename} is no array")
            name = entry.filename.removesuffix(".npy")
            if only is None or name in only:
                arrays[name] = _array(archive.read(entry))
        return arrays, archive.comment


def stored_entries(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """The entries of a zip, none of which takes more memory than the file has bytes.

    Raises:
      ValueError: an entry is compressed, has a size that is not its own, or comes twice.

    Example:
      >>> with zipfile.ZipFile(folder / "small.zip", "w", zipfile.ZIP_DEFLATED) as archive:
      ...     archive.writestr("a.txt", "a" * 1000)
      >>> stored_entries(zipfile.ZipFile(folder / "small.zip"))
      Traceback (most recent call last):
      ValueError: a.txt is compressed, which none is that au_jax writes
    """
    entries = archive.infolist()
    if len({entry.filename for entry in entries}) < len(entries):
        raise ValueError("an entry comes twice")
    for entry in entries:
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
            raise ValueError(f"{entry.filename} is compressed, which none is that au_jax writes")
    return entries


def _array(content: bytes) -> np.ndarray:
    """Reads an array as `numpy.lib.format` does, after comparing the size that its header states with that of the content."""
    stream = io.BytesIO(content)
    version = np.lib.format.read_magic(stream)
    header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
    shape, fortran, dtype = header(stream, max_header_size=_LONGEST_HEADER)
    if dtype.hasobject or dtype.fields or min(shape, default=0) < 0:
        raise ValueError(f"an array of {dtype} {list(shape)} is none that au_jax writes")
    start = stream.tell()
    if math.prod(shape) * dtype.itemsize != len(content) - start:
        raise ValueError(f"an array has not the {math.prod(shape)} values that it states")
    flat = np.frombuffer(bytearray(content[start:]), dtype, math.prod(shape))
    return flat.reshape(shape[::-1]).T if fortran else flat.reshape(shape)


def _is_unchanged(stream: io.BufferedIOBase) -> bool:
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
    """Whether an npz file is there and whole; a damaged one is deleted, with a warning, for it will be made again.

    Raises:
      DataError: it is whole and belongs elsewhere.

    Example:
      >>> write_bytes(folder / "cut.npz", npz_bytes({"mean": np.arange(3)})[:50])
      >>> is_whole_npz(folder / "cut.npz"), (folder / "cut.npz").exists()
      (False, False)
    """
    try:
        read_npz(path)
    except FileNotFoundError:
        return False
    except MisplacedError:
        raise
    except DataError as error:
        logging.warning("%s", str(error).replace(_AGAIN, "it is made again"))
        path.unlink()
        return False
    return True


def checksum(value: Any) -> str:
    """The SHA-256 of a JSON value in its canonical form.

    Example:
      >>> checksum({"a": 1, "b": 2}) == checksum({"b": 2, "a": 1}), len(checksum(0))
      (True, 64)
    """
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def place_of(path: Path) -> str:
    """A file's place in a run from its fold on, such as fold_00/anet/mean.npz; "" outside folds.

    Example:
      >>> place_of(Path("runs/demo/fold_00/anet/mean.npz")), place_of(Path("runs/demo/split.json"))
      ('fold_00/anet/mean.npz', '')
    """
    parts = path.absolute().parts
    folds = [index for index, part in enumerate(parts) if _FOLD.fullmatch(part)]
    return "/".join(parts[folds[-1] :]) if folds else ""


def one_line(error: Exception) -> str:
    """What an error says, for the middle of a line.

    Example:
      >>> one_line(ValueError("not a   number")), one_line(EOFError())
      ('not a number', 'EOFError')
    """
    return " ".join(str(error).split())[:200] or type(error).__name__


@contextlib.contextmanager
def locked(folder: Path, *, wait: bool = False) -> Iterator[None]:
    """Holds a folder for this process until the block ends; the operating system lets go when the process dies.

    Args:
      folder: made if missing.
      wait: for a process that holds it, instead of giving up; for what takes moments.

    Raises:
      UserError: another process holds it.

    Example:
      >>> with locked(folder / "run"), locked(folder / "run"):  # as a second process would
      ...     pass
      Traceback (most recent call last):
      au_jax.errors.UserError: .../run is in use by another process; wait for it or choose another folder
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
