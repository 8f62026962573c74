"""TFRecord files: records read in any order, and streams of tf.data whose errors name the damaged file."""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from au_jax.errors import DataError

_HEADER, _FOOTER = 12, 4  # length and its checksum before the data, the data's checksum after it (TFRecord format)
_OPEN_FILES = 64  # the operating system allows some hundred


class TFRecordIndex:
    """The records of several TFRecord files, numbered through from 0; one read per record.

    Args:
      paths: the files, in order.

    Raises:
      DataError: a file is truncated; names it.

    Example:
      >>> import tempfile
      >>> path = tempfile.mkdtemp() + "/two.tfrecord"
      >>> with tf.io.TFRecordWriter(path) as writer:
      ...     for record in (b"first", b"second"):
      ...         writer.write(record)
      >>> index = TFRecordIndex([path])
      >>> len(index), list(index.read([1, 0]))
      (2, [b'second', b'first'])
    """

    def __init__(self, paths: Sequence[str]):
        self._paths = tuple(paths)
        tables = [_record_places(path) for path in self._paths]
        self._file = np.repeat(np.arange(len(tables)), [len(table) for table in tables])
        self._place = np.concatenate([np.zeros((0, 2), np.int64), *tables])

    def __len__(self) -> int:
        return len(self._file)

    def read(self, numbers: Iterable[int]) -> Iterator[bytes]:
        """Yields the serialized records of these numbers, in this order."""
        opened = {}
        try:
            for number in numbers:
                index = int(self._file[number])
                if index not in opened:
                    if len(opened) >= _OPEN_FILES:
                        opened.pop(next(iter(opened))).close()
                    opened[index] = open(self._paths[index], "rb")
                offset, length = self._place[number]
                opened[index].seek(offset)
                yield opened[index].read(length)
        finally:
            for file in opened.values():
                file.close()


def record_frames(path: str) -> list[tuple[int, int, bytes]]:
    """Offset and length of the data of every record, and its frame: length, and the checksums of length and data.

    Only the frames are read, 16 bytes for each record.

    Raises:
      DataError: the file breaks off.

    Example:
      >>> import tempfile
      >>> path = tempfile.mkdtemp() + "/two.tfrecord"
      >>> with tf.io.TFRecordWriter(path) as writer:
      ...     for record in (b"first", b"second"):
      ...         writer.write(record)
      >>> [(offset, length, len(frame)) for offset, length, frame in record_frames(path)]
      [(12, 5, 16), (33, 6, 16)]
    """
    frames = []
    with open(path, "rb", buffering=0) as file:
        end = file.seek(0, 2)
        descriptor, offset = file.fileno(), 0
        if hasattr(os, "posix_fadvise"):
            # Else a cold disk is read in as many small pieces as there are records; their content will be wanted as well.
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_WILLNEED)
        header = os.pread(descriptor, _HEADER, 0)
        while offset < end:
            length = int.from_bytes(header[:8], "little") if len(header) == _HEADER else end
            data = offset + _HEADER
            offset = data + length + _FOOTER
            if offset > end:
                raise DataError(
                    f"{path} is damaged at byte {data - _HEADER}; delete its folder and run again to have it prepared again"
                )
            # The end of this record and the beginning of the next in one read.
            both = os.pread(descriptor, _FOOTER + _HEADER, data + length)
            frames.append((data, length, header + both[:_FOOTER]))
            header = both[_FOOTER:]
    return frames


def _record_places(path: str) -> np.ndarray:
    """Offset and length of the data of every record, [records, 2] int64."""
    return np.array([frame[:2] for frame in record_frames(path)], np.int64).reshape(-1, 2)


no_autograph = tf.autograph.experimental.do_not_convert
"""Decorator of functions that build streams. Without it TensorFlow rewrites the source of every function that it maps, which
takes longer than the stream's start and leaves a file in the temporary folder of a process that is killed."""


def read_stream(stream: tf.data.Dataset, shards: Sequence[str]) -> Iterator[Any]:
    """Iterates a stream of records as NumPy arrays, nested as its elements are.

    Args:
      stream: made of these files.
      shards: the TFRecord files, looked through where something is wrong.

    Raises:
      DataError: a record is truncated or not a face; names the file.

    Example:
      >>> [int(number) for number in read_stream(tf.data.Dataset.range(2), [])]
      [0, 1]
    """
    try:
        yield from stream.as_numpy_iterator()
    except (tf.errors.DataLossError, tf.errors.InvalidArgumentError, tf.errors.NotFoundError) as error:
        damaged = next((shard for shard in shards if not _readable(shard)), None)
        where = damaged or f"{Path(shards[0]).parent} ({error.message.splitlines()[0]})"
        raise DataError(
            f"{where} is damaged; delete the folder {Path(shards[0]).parent} and run again to have it prepared again"
        ) from error


def _readable(shard: str) -> bool:
    try:
        for record in tf.data.TFRecordDataset(shard):
            image = tf.io.parse_single_example(record, {"image": tf.io.FixedLenFeature([], tf.string)})["image"]
            tf.io.decode_jpeg(image)
    except tf.errors.OpError:
        return False
    return True
