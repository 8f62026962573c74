"""What every stream of tf.data needs: to be built as it is written, and errors that name the damaged file."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from au_jax.errors import UserError

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
