"""TFRecord files read in any order."""

import pytest
import tensorflow as tf

from au_jax.data.tfrecord_index import TFRecordIndex
from au_jax.errors import UserError


@pytest.fixture
def paths(tmp_path):
    paths = [str(tmp_path / f"{number}.tfrecord") for number in range(3)]
    for path, records in zip(paths, ([b"a", b"bb" * 500], [], [b"", b"c"]), strict=True):
        with tf.io.TFRecordWriter(path) as writer:
            for record in records:
                writer.write(record)
    return paths


def test_records_are_numbered_as_tensorflow_reads_them(paths):
    expected = list(tf.data.TFRecordDataset(paths).as_numpy_iterator())
    records = TFRecordIndex(paths)
    assert len(records) == len(expected) == 4
    assert list(records.read([3, 0, 2, 1, 0])) == [expected[number] for number in (3, 0, 2, 1, 0)]


@pytest.mark.parametrize("cut", [3, 14, 1000])
def test_a_cut_file_is_named(paths, cut):
    with open(paths[0], "r+b") as stream:
        stream.truncate(cut)
    with pytest.raises(UserError, match="0.tfrecord is damaged"):
        TFRecordIndex(paths)
