"""The seal of a dataset on disk: what it was made from, how many records each of its files holds, and their checksums.

`prepared.json` lies beside the records. It is written last, before the dataset comes to its place, and keeps a copy of the
descriptions that TFDS reads, so that a lost one can be made again.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from au_jax import files
from au_jax.data.tfrecord_index import record_frames
from au_jax.errors import DataError

NAME = "prepared.json"
_DESCRIPTIONS = ("dataset_info.json", "features.json", "metadata.json")
_RECORDS = "*.tfrecord-*"

_held: dict[Path, int] = {}
"""Dataset -> open file whose lock says that this process reads the dataset."""


def seal_shard(path: Path) -> dict[str, Any]:
    """Number of records, size in bytes, and a checksum over the lengths and checksums of all records in their order.

    The records themselves are not read: each carries the checksum of its content, which is compared when it is read.

    Raises:
      DataError: the file breaks off.

    Example:
      >>> import tempfile
      >>> import tensorflow as tf
      >>> path = Path(tempfile.mkdtemp()) / "x.tfrecord"
      >>> with tf.io.TFRecordWriter(str(path)) as writer:
      ...     writer.write(b"first")
      >>> seal = seal_shard(path)
      >>> seal["records"], seal["bytes"], len(seal["checksum"])
      (1, 21, 64)
    """
    frames = record_frames(str(path))
    size = sum(length + 16 for _, length, _ in frames)
    content = b"".join(frame for _, _, frame in frames)
    return {"records": len(frames), "bytes": size, "checksum": hashlib.sha256(content).hexdigest()}


def write_seal(folder: Path, content: dict[str, Any]) -> None:
    """Seals the dataset in a folder.

    Args:
      folder: with records and descriptions.
      content: what it was made from, JSON; `read_seal` returns it with "shards" and "descriptions".

    Example:
      >>> _ = (folder / "features.json").write_text("{}")
      >>> write_seal(folder, {"raw": "recordings/mine"})
      >>> read_seal(folder)
      {'raw': 'recordings/mine', 'shards': {}, 'descriptions': {'features.json': '{}'}}
    """
    document = {
        **content,
        "shards": {path.name: seal_shard(path) for path in sorted(folder.glob(_RECORDS))},
        "descriptions": {name: (folder / name).read_text() for name in _DESCRIPTIONS if (folder / name).exists()},
    }
    files.write_json(folder / NAME, document, seal=True)


def read_seal(folder: Path) -> dict[str, Any] | None:
    """The seal of a dataset; None where there is none.

    Raises:
      DataError: it is damaged.

    Example:
      >>> import tempfile
      >>> mine = Path(tempfile.mkdtemp())
      >>> before = read_seal(mine)
      >>> write_seal(mine, {"raw": "recordings/mine"})
      >>> before, read_seal(mine)["raw"]
      (None, 'recordings/mine')
    """
    path = folder / NAME
    try:
        return files.read_json(path, sealed=True)
    except FileNotFoundError:
        return None
    except DataError as error:
        # What helps is another matter than for a file of a run.
        raise DataError(str(error).partition(";")[0]) from error


def restore_descriptions(folder: Path, document: dict[str, Any]) -> list[str]:
    """Writes the descriptions anew that are lost or have changed; returns their names.

    Example:
      >>> import tempfile
      >>> mine = Path(tempfile.mkdtemp())
      >>> restore_descriptions(mine, {"descriptions": {"features.json": "{}"}}), (mine / "features.json").read_text()
      (['features.json'], '{}')
      >>> restore_descriptions(mine, {"descriptions": {"features.json": "{}"}})
      []
    """
    lost = []
    for name, text in document["descriptions"].items():
        path = folder / name
        with contextlib.suppress(FileNotFoundError):
            if path.read_bytes() == text.encode():
                continue
        files.write_text(path, text)
        lost.append(name)
    return lost


def damaged_shards(folder: Path, document: dict[str, Any]) -> dict[str, str]:
    """Files of records that are not as they were written -> how they differ.

    A BP4D of 147,000 frames takes under a second: 16 bytes of every record are read.

    Example:
      >>> damaged_shards(folder, {"shards": {"au_faces-anna.tfrecord-00000-of-00001": {"records": 1}}})
      {'au_faces-anna.tfrecord-00000-of-00001': 'is lost'}
    """
    damaged = {}
    for name, seal in document["shards"].items():
        try:
            now = seal_shard(folder / name)
        except FileNotFoundError:
            damaged[name] = "is lost"
        except DataError:
            damaged[name] = "breaks off"
        else:
            if now["records"] != seal["records"]:
                damaged[name] = f"has {now['records']} records instead of {seal['records']}"
            elif now != seal:
                damaged[name] = "has other records than were written"
    return damaged


def has_records(folder: Path) -> bool:
    """Whether there are files of records in a folder.

    Example:
      >>> import tempfile
      >>> mine = Path(tempfile.mkdtemp())
      >>> before = has_records(mine)
      >>> (mine / "au_faces-anna.tfrecord-00000-of-00001").touch()
      >>> before, has_records(mine)
      (False, True)
    """
    return next(folder.glob(_RECORDS), None) is not None


def miscounted_shards(folder: Path) -> dict[str, str]:
    """As `damaged_shards`, of a dataset without a seal: TFDS has noted the numbers of records.

    Raises:
      DataError: its description is lost or damaged.

    Example:
      >>> import tempfile
      >>> mine = Path(tempfile.mkdtemp())
      >>> files.write_json(mine / "dataset_info.json", {"splits": [{"name": "anna", "shardLengths": ["2"]}]})
      >>> miscounted_shards(mine)
      {'au_faces-anna.tfrecord-00000-of-00001': 'is lost'}
      >>> (mine / "au_faces-anna.tfrecord-00000-of-00001").touch()
      >>> miscounted_shards(mine)
      {'au_faces-anna.tfrecord-00000-of-00001': 'has 0 records instead of 2'}
    """
    path = folder / "dataset_info.json"
    damaged = {}
    try:
        for split in json.loads(path.read_text())["splits"]:
            lengths = [int(length) for length in split["shardLengths"]]
            for number, length in enumerate(lengths):
                name = f"au_faces-{split['name']}.tfrecord-{number:05d}-of-{len(lengths):05d}"
                try:
                    records = len(record_frames(str(folder / name)))
                except FileNotFoundError:
                    damaged[name] = "is lost"
                except DataError:
                    damaged[name] = "breaks off"
                else:
                    if records != length:
                        damaged[name] = f"has {records} records instead of {length}"
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise DataError(f"{path} is lost or damaged ({error})") from error
    return damaged


def hold(folder: Path) -> None:
    """Says, until this process ends, that it reads a dataset; nothing is said where the disk cannot be written.

    Example:
      >>> import tempfile
      >>> mine = Path(tempfile.mkdtemp()) / "mine"
      >>> hold(mine)
      >>> (mine.parent / ".in_use").exists()
      True
    """
    if folder not in _held:
        with contextlib.suppress(OSError):
            descriptor = os.open(folder.parent / ".in_use", os.O_RDWR | os.O_CREAT, 0o666)
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            _held[folder] = descriptor


@contextlib.contextmanager
def not_in_use(folder: Path) -> Iterator[None]:
    """Keeps others from opening a dataset until the block ends: a training would go on with other faces and labels.

    Raises:
      DataError: another process reads it.

    Example:
      >>> import tempfile
      >>> mine = Path(tempfile.mkdtemp()) / "mine"
      >>> with not_in_use(mine):
      ...     mine.mkdir()  # nobody else reads it meanwhile
    """
    if (own := _held.pop(folder, None)) is not None:
        os.close(own)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.parent / ".in_use", "a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataError(
                f"{folder} would be made again, and another process reads it; wait for its end, or give this one a "
                "config.data.name of its own"
            ) from None
        yield


def place(made: Path, folder: Path) -> None:
    """Puts a sealed dataset at its place; an older one there goes. A kill in between is mended by `settle`.

    Example:
      >>> import tempfile
      >>> home = Path(tempfile.mkdtemp())
      >>> for name, raw in (("making", "new"), ("mine", "old")):
      ...     write_seal(home / name, {"raw": raw})
      >>> place(home / "making", home / "mine")
      >>> read_seal(home / "mine")["raw"], (home / "making").exists()
      ('new', False)
    """
    aside = folder.parent / ".replaced"
    with not_in_use(folder):
        shutil.rmtree(aside, ignore_errors=True)
        if folder.exists():
            os.rename(folder, aside)
        os.rename(made, folder)
    shutil.rmtree(aside, ignore_errors=True)


def settle(made: Path, folder: Path) -> None:
    """Puts a dataset at its place whose maker was killed just before.

    Example:
      >>> import tempfile
      >>> home = Path(tempfile.mkdtemp())
      >>> write_seal(home / "making", {"raw": "recordings/mine"})
      >>> settle(home / "making", home / "mine")
      >>> read_seal(home / "mine")["raw"]
      'recordings/mine'
    """
    if not folder.exists() and (made / NAME).exists():
        os.rename(made, folder)
