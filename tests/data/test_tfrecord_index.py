"""TFRecord files: read in any order, and named where they are damaged."""

import pytest
import tensorflow as tf

from au_jax.data.tfrecord_index import TFRecordIndex, read_stream
from au_jax.errors import DataError


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
    with pytest.raises(DataError, match="0.tfrecord is damaged"):
        TFRecordIndex(paths)


def test_a_stream_of_damaged_records_names_the_file(tmp_path):
    image = tf.io.encode_jpeg(tf.zeros((2, 2, 3), tf.uint8)).numpy()
    feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[image]))
    record = tf.train.Example(features=tf.train.Features(feature={"image": feature})).SerializeToString()
    shards = [str(tmp_path / name) for name in ("whole.tfrecord", "broken.tfrecord")]
    for shard in shards:
        with tf.io.TFRecordWriter(shard) as writer:
            writer.write(record)
    content = bytearray((tmp_path / "broken.tfrecord").read_bytes())
    content[len(content) // 2] ^= 16
    (tmp_path / "broken.tfrecord").write_bytes(content)
    with pytest.raises(DataError, match="broken.tfrecord is damaged; delete the folder"):
        list(read_stream(tf.data.TFRecordDataset(shards), shards))
