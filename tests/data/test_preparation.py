"""Prepared data knows what it was made from: what changed is done again, nothing is mixed, damage is told."""

import shutil
import struct
import subprocess
import sys

import pytest

from au_jax.config import get_config
from au_jax.data import preparation
from au_jax.data.dataset import FaceDataset
from au_jax.data.preparation import prepare
from au_jax.data.recordings import write_recording
from au_jax.errors import UserError

from .conftest import write_picture, write_text

SUBJECTS = ("anna", "J_rgen_M_", "mia")
FOLDERS = ("anna", "Jürgen M.", "mia")
FRAMES = 3


def write_table(raw, folder, smile=1, frown=0):
    rows = "".join(f"{number},{smile},{frown}\n" for number in range(1, FRAMES + 1))
    write_text(raw / folder / "clip.csv", f"frame,AU12,frown\n{rows}")


@pytest.fixture
def copy(raw, stand_in):
    """A copy of recordings: three people with three pictures each; AU 12 is present, and column 'frown' says absent."""
    for folder in FOLDERS:
        for number in range(1, FRAMES + 1):
            write_picture(raw / folder / "clip" / f"{number}.png", 50 + number)
        write_table(raw, folder)
    return raw


@pytest.fixture
def fields(tmp_path, raw):
    """Makes `config.data` of that copy."""

    def make(**changes):
        data = get_config().data
        data.source, data.raw, data.directory, data.image_size, data.workers = "folder", str(raw), str(tmp_path), 8, 1
        data.aus = (12,)
        data.update(changes)
        return data

    return make


def labels(data):
    """Subject -> the labels of its first AU, of the dataset that is opened."""
    dataset = FaceDataset(prepare(data))
    return {subject: dataset.records(subject).labels[:, 0].tolist() for subject in dataset.subjects}


def everywhere(label):
    return dict.fromkeys(SUBJECTS, [label] * FRAMES)


def place(tmp_path):
    (info,) = tmp_path.glob("tfds/au_faces/*/1.1.0")
    return info


def shard(tmp_path, subject):
    (path,) = place(tmp_path).glob(f"au_faces-{subject}.tfrecord-*")
    return path


def records(path):
    content, parts = path.read_bytes(), []
    while content:
        size = 16 + struct.unpack("<Q", content[:8])[0]
        parts.append(content[:size])
        content = content[size:]
    return parts


def test_the_same_command_again_does_nothing_again(copy, fields, stand_in, capsys):
    assert labels(fields()) == everywhere(1)
    del stand_in[:]
    assert labels(fields()) == everywhere(1) and labels(fields(raw="")) == everywhere(1)
    assert stand_in == [] and "prepared again" not in capsys.readouterr().out


CHANGES = [
    ({"columns": "12=frown"}, "columns", -1),
    ({"level": "A"}, "level", 1),
    ({"codes": "intensity"}, "codes", 1),
    ({"fps": 50.0}, "fps", 1),
    ({"jpeg_quality": 40}, "jpeg_quality", 1),
]


@pytest.mark.parametrize(("change", "name", "label"), CHANGES, ids=[name for _, name, _ in CHANGES])
def test_a_changed_field_is_refused_by_name_or_prepared_again(copy, fields, stand_in, change, name, label, capsys):
    labels(fields())
    with pytest.raises(
        UserError, match=rf"config\.data\.{name}.*--config\.data\.{name}=.*--config\.data\.name.*--raw="
    ):
        prepare(fields(raw="", **change))
    del stand_in[:]
    assert labels(fields(**change)) == everywhere(label) and len(stand_in) == 9
    said = capsys.readouterr().out
    assert f"3 of 3 recordings are prepared again (config.data.{name}" in said
    assert labels(fields(raw="", **change)) == everywhere(label)
    with pytest.raises(UserError, match=rf"config\.data\.{name}"):
        prepare(fields(raw=""))


def test_only_the_recording_whose_labels_changed_is_done_again(copy, fields, stand_in, tmp_path, capsys):
    labels(fields())
    before = {subject: shard(tmp_path, subject).read_bytes() for subject in SUBJECTS}
    capsys.readouterr(), stand_in.clear()
    write_table(copy, "Jürgen M.", smile=0)
    assert labels(fields()) == {**everywhere(1), "J_rgen_M_": [-1] * FRAMES}
    assert stand_in == [1, 2, 3]
    assert "1 of 3 recordings is prepared again (1 whose label file changed), 2 are kept" in capsys.readouterr().out
    for subject in ("anna", "mia"):
        assert shard(tmp_path, subject).read_bytes() == before[subject]


def test_a_changed_picture_a_new_and_a_removed_recording_are_noticed(copy, fields, stand_in, capsys):
    labels(fields())
    capsys.readouterr(), stand_in.clear()
    write_picture(copy / "anna/clip/2.png", 200)
    shutil.rmtree(copy / "mia")
    shutil.copytree(copy / "anna", copy / "zoe")
    assert sorted(labels(fields())) == ["J_rgen_M_", "anna", "zoe"]
    assert stand_in == [1, 2, 3] * 2
    said = capsys.readouterr().out
    assert "1 of 3 recordings is prepared again (1 whose pictures changed), 1 is kept, 1 is new, 1 is gone" in said


def test_an_interrupted_prepare_with_a_changed_field_is_not_mixed(copy, fields, stand_in, monkeypatch, capsys):
    def dying(folder, recording, *arguments, **options):
        if recording.subject == "mia":
            raise OSError(28, "No space left on device", str(folder))
        write_recording(folder, recording, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(preparation, "write_recording", dying)
        with pytest.raises(OSError, match="No space"):
            prepare(fields())
    del stand_in[:]
    assert labels(fields(columns="12=frown")) == everywhere(-1)
    assert len(stand_in) == 9
    assert "2 of 3 recordings" in capsys.readouterr().out


def test_a_label_file_changed_during_an_interruption_is_read_again(copy, fields, stand_in, monkeypatch):
    def dying(folder, recording, *arguments, **options):
        if recording.subject == "mia":
            raise KeyboardInterrupt
        write_recording(folder, recording, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(preparation, "write_recording", dying)
        with pytest.raises(KeyboardInterrupt):
            prepare(fields())
    write_table(copy, "anna", smile=0)
    del stand_in[:]
    assert labels(fields()) == {**everywhere(1), "anna": [-1] * FRAMES}
    assert len(stand_in) == 6  # Jürgen's are kept


@pytest.mark.parametrize("name", ["dataset_info.json", "features.json", "metadata.json"])
@pytest.mark.parametrize("how", ["lost", "empty"])
def test_a_lost_description_is_made_again(copy, fields, stand_in, tmp_path, name, how):
    labels(fields())
    path = place(tmp_path) / name
    whole = path.read_bytes()
    path.unlink()
    if how == "empty":
        path.touch()
    stand_in.clear()
    assert labels(fields(raw="")) == everywhere(1)
    assert path.read_bytes() == whole and stand_in == []


def damaged_shard(tmp_path, how):
    path = shard(tmp_path, "anna")
    parts = records(path)
    if how == "cut":
        path.write_bytes(b"".join(parts[:-1]))
    elif how == "doubled":
        path.write_bytes(b"".join([*parts[:2], parts[1]]))
    elif how == "order":
        path.write_bytes(b"".join(parts[::-1]))
    elif how == "lost":
        path.unlink()
    else:
        other = shard(tmp_path, "mia")
        theirs = other.read_bytes()
        other.write_bytes(path.read_bytes())
        path.write_bytes(theirs)


@pytest.mark.parametrize("how", ["cut", "doubled", "order", "exchanged", "lost"])
def test_other_records_than_were_written_are_refused_or_made_again(copy, fields, tmp_path, how, capsys):
    write_table(copy, "mia", smile=0)
    truth = {**everywhere(1), "mia": [-1] * FRAMES}
    assert labels(fields()) == truth
    damaged_shard(tmp_path, how)
    with pytest.raises(UserError, match=r"au_faces-anna\.tfrecord.*--raw="):
        prepare(fields(raw=""))
    capsys.readouterr()
    assert labels(fields()) == truth
    assert "damaged" in capsys.readouterr().out
    assert labels(fields(raw="")) == truth


def test_zeroed_pictures_in_staging_are_noticed(copy, fields, tmp_path, stand_in, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        patch.setattr(preparation, "_pack", lambda *arguments: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            prepare(fields())
    pictures = tmp_path / "recordings/folder_aus12_8px/anna/clip.jpegs"
    pictures.write_bytes(bytes(len(pictures.read_bytes())))
    stand_in.clear()
    dataset = FaceDataset(prepare(fields()))
    assert stand_in == [1, 2, 3]
    assert "1 of 3 recordings is prepared again (1 damaged), 2 are kept" in capsys.readouterr().out
    assert dataset.records("anna").face_detected.all()


def test_leftovers_of_dead_processes_are_swept_and_nothing_else(copy, fields, tmp_path):
    labels(fields())
    staging = tmp_path / "recordings" / "folder_aus12_8px"
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    (staging / "anna").mkdir(parents=True)
    (staging / "anna" / f"clip.{dead.pid}.partial").write_bytes(b"x")
    leftovers = [
        staging / "anna" / "clip.jpegs",
        staging / "anna" / ".clip.npz.abc",
        place(tmp_path).parent / "1.1.0.incompleteABCDEF" / "x",
    ]
    for path in leftovers:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    own = [tmp_path / "recordings" / "notes.txt", tmp_path / "recordings" / "other_8px" / "anna" / "clip.npz"]
    own.append(place(tmp_path).parent / "thesis" / "1.txt")
    for path in own:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"mine")
    assert labels(fields()) == everywhere(1)
    assert not staging.exists() and not leftovers[2].parent.exists()
    assert all(path.read_bytes() == b"mine" for path in own)
