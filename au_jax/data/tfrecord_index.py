"""TFRecord files read in any order: a table of where each record lies, and one read per record."""

import struct
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from au_jax.errors import UserError

_HEADER, _FOOTER = 12, 4  # length and its checksum before the data, the data's checksum after it (TFRecord format)


class TFRecordIndex:
    """The records of several TFRecord files, numbered through from 0."""

    def __init__(self, paths: Sequence[str]):
        self._paths = tuple(paths)
        tables = [_table(path) for path in self._paths]
        self._file = np.repeat(np.arange(len(tables)), [len(table) for table in tables])
        self._place = np.concatenate([np.zeros((0, 2), np.int64), *tables])

    def __len__(self) -> int:
        return len(self._file)

    def read(self, numbers: Iterable[int]) -> Iterator[bytes]:
        """Yields the serialized records of these numbers, in this order."""
        streams = {}
        try:
            for number in numbers:
                index = int(self._file[number])
                if index not in streams:
                    # The operating system allows some hundred open files.
                    if len(streams) >= 64:
                        streams.pop(next(iter(streams))).close()
                    streams[index] = open(self._paths[index], "rb")
                offset, length = self._place[number]
                streams[index].seek(offset)
                yield streams[index].read(length)
        finally:
            for stream in streams.values():
                stream.close()


def _table(path: str) -> np.ndarray:
    """Offset and length of the data of every record, [records, 2] int64."""
    rows = []
    with open(path, "rb") as stream:
        end = stream.seek(0, 2)
        offset = 0
        while offset < end:
            stream.seek(offset)
            header = stream.read(_HEADER)
            length = struct.unpack("<Q", header[:8])[0] if len(header) == _HEADER else end
            if offset + _HEADER + length + _FOOTER > end:
                raise UserError(
                    f"{path} is damaged at byte {offset}; delete its folder and run again to have it prepared again"
                )
            rows.append((offset + _HEADER, length))
            offset += _HEADER + length + _FOOTER
    return np.array(rows, np.int64).reshape(-1, 2)


as_written = tf.autograph.experimental.do_not_convert
"""Decorator of functions that build streams. Without it TensorFlow rewrites the source of every function that it maps, which
takes longer than the stream's start and leaves a file in the temporary folder of a process that is killed."""


def read(stream: tf.data.Dataset, shards: Sequence[str]) -> Iterator[Any]:
    """Iterates a stream as NumPy arrays, nested as its elements are.

    Raises:
      UserError: a record is truncated or not a face; names the file.
    """
    try:
        yield from stream.as_numpy_iterator()
    except (tf.errors.DataLossError, tf.errors.InvalidArgumentError, tf.errors.NotFoundError) as error:
        damaged = next((shard for shard in shards if not _readable(shard)), None)
        where = damaged or f"{Path(shards[0]).parent} ({error.message.splitlines()[0]})"
        raise UserError(
            f"{where} is damaged; delete the folder {Path(shards[0]).parent} and run again to have it prepared again"
        ) from error


def _readable(shard: str) -> bool:
    try:
        for record in tf.data.TFRecordDataset(shard):
            picture = tf.io.parse_single_example(record, {"image": tf.io.FixedLenFeature([], tf.string)})["image"]
            tf.io.decode_jpeg(picture)
    except tf.errors.OpError:
        return False
    return True
