"""A sealed dataset says by itself which of its files are not what was written."""

import fcntl

import pytest
import tensorflow as tf

from au_jax.data import dataset_seal
from au_jax.errors import DataError

SHARDS = ("au_faces-anna.tfrecord-00000-of-00001", "au_faces-ben.tfrecord-00000-of-00001")


@pytest.fixture
def dataset(tmp_path):
    """A sealed folder of two files with three records each."""
    (folder := tmp_path / "home" / "mine").mkdir(parents=True)
    for shard in SHARDS:
        with tf.io.TFRecordWriter(str(folder / shard)) as writer:
            for record in (b"one", b"two", b"three"):
                writer.write(record + shard.encode())
    (folder / "features.json").write_text('{"label": "int8"}')
    dataset_seal.write_seal(folder, {"raw": "recordings"})
    return folder


def damaged(folder):
    return dataset_seal.damaged_shards(folder, dataset_seal.read_seal(folder))


def test_what_was_written_is_whole(dataset):
    assert dataset_seal.read_seal(dataset)["raw"] == "recordings"
    assert damaged(dataset) == {}


def test_lost_cut_shorter_and_exchanged_files_are_named_with_how_they_differ(dataset):
    anna, ben = (dataset / shard for shard in SHARDS)
    content = anna.read_bytes()
    third = len(content) - (16 + len(b"three") + len(SHARDS[0]))
    anna.write_bytes(content[:third])
    assert damaged(dataset) == {SHARDS[0]: "has 2 records instead of 3"}
    anna.write_bytes(content[:-5])
    assert damaged(dataset) == {SHARDS[0]: "breaks off"}
    anna.write_bytes(ben.read_bytes())
    assert damaged(dataset) == {SHARDS[0]: "has other records than were written"}
    anna.unlink()
    assert damaged(dataset) == {SHARDS[0]: "is lost"}


def test_lost_and_changed_descriptions_are_written_anew(dataset):
    document = dataset_seal.read_seal(dataset)
    for spoil in (lambda path: path.unlink(), lambda path: path.write_text("{}")):
        spoil(dataset / "features.json")
        assert dataset_seal.restore_descriptions(dataset, document) == ["features.json"]
        assert (dataset / "features.json").read_text() == '{"label": "int8"}'


def test_a_changed_seal_is_refused(dataset):
    path = dataset / dataset_seal.NAME
    path.write_text(path.read_text().replace("recordings", "recordingz"))
    with pytest.raises(DataError, match=r"prepared\.json"):
        dataset_seal.read_seal(dataset)


def test_a_dataset_is_not_replaced_under_one_who_reads_it(dataset):
    # A lock belongs to the opened file, so that this is as another process's.
    with open(dataset.parent / ".in_use", "a") as other:
        fcntl.flock(other, fcntl.LOCK_SH)
        with (
            pytest.raises(DataError, match=r"another process reads it; wait for its end, or .* config\.data\.name"),
            dataset_seal.not_in_use(dataset),
        ):
            pass
    with dataset_seal.not_in_use(dataset):
        pass


def test_a_maker_killed_between_the_two_renames_leaves_the_new_dataset(dataset):
    made = dataset.parent / "making"
    dataset.rename(made)
    dataset_seal.settle(made, dataset)
    assert damaged(dataset) == {}
    assert not made.exists()


def test_an_unsealed_folder_never_becomes_the_dataset(tmp_path):
    (made := tmp_path / "making").mkdir()
    dataset_seal.settle(made, tmp_path / "mine")
    assert made.exists()
    assert not (tmp_path / "mine").exists()
