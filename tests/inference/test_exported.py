"""A detector as one file: the scores of the run's own detector, in a process that has neither Flax nor TensorFlow."""

import json
import shutil
import subprocess
import sys
import textwrap
import zipfile

import jax
import jax.export
import numpy as np
import pytest

from au_jax.errors import DataError
from au_jax.inference import exported
from au_jax.inference.detector import Detector
from au_jax.inference.exported import export
from au_jax.models import hybrid

pytestmark = pytest.mark.optax


@pytest.fixture(scope="module")
def written(finished, tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "detector.zip"
    export(finished, path)
    return path


@pytest.fixture(scope="module")
def faces():
    return np.random.default_rng(0).integers(0, 256, (75, 40, 40, 3), np.uint8)


@pytest.fixture(scope="module")
def expected(finished, faces):
    """What the run's own detector says."""
    return Detector.from_run(finished).score(faces)


PROGRAM = """
    import sys
    import numpy as np
    from au_jax import exported
    detector = exported.load(sys.argv[1])
    faces = np.load(sys.argv[2])
    whole = detector.score(faces)
    parts = list(detector.stream([faces[:40], faces[40:41], faces[41:]]))
    np.savez(
        sys.argv[3],
        **{name: scores for name, scores in whole.items()},
        **{f"{name} in parts": np.concatenate([part[name] for part in parts]) for name in detector.outputs},
    )
    assert detector.aus == (1, 2, 4, 6, 7, 10, 12, 14, 15, 17, 23, 24) and detector.image_size == 40
    heavy = {"flax", "tensorflow", "optax", "orbax", "ml_collections", "sklearn"} & set(sys.modules)
    assert not heavy, heavy
"""


def test_another_process_without_flax_and_tensorflow_gives_the_same_scores(written, faces, expected, tmp_path):
    np.save(tmp_path / "faces.npy", faces)
    program = [sys.executable, "-c", textwrap.dedent(PROGRAM), written, tmp_path / "faces.npy", tmp_path / "scores.npz"]
    subprocess.run([*map(str, program)], check=True)
    found = np.load(tmp_path / "scores.npz")
    for name, scores in expected.items():
        assert scores.shape == (75, 12) and np.nanmax(scores) - np.nanmin(scores) > 0.01
        np.testing.assert_allclose(found[name], scores, atol=1e-5, rtol=0)
        np.testing.assert_allclose(found[f"{name} in parts"], scores, atol=1e-5, rtol=0)


def test_one_fold_and_one_system_are_exported_alone(finished, faces, tmp_path):
    manifest = export(finished, tmp_path / "cnn.zip", folds=[1], systems=["anet"])
    assert manifest["notes"]["folds"] == [1] and manifest["folds"] == ["fold_00.npz"]
    detector = exported.load(tmp_path / "cnn.zip")
    scores = Detector.from_run(finished, [1], ["anet"]).score(faces[:5])
    found = detector.score(faces[:5])
    assert list(found) == ["anet", "probability"]
    for name, rows in scores.items():
        np.testing.assert_allclose(found[name], rows, atol=1e-5, rtol=0)


def test_intensities_are_exported_with_the_networks_and_wait_for_the_same_frames(graded, faces, tmp_path):
    manifest = export(graded, tmp_path / "graded.zip", folds=[0])
    assert list(manifest["outputs"]) == ["anet", "hybrid", "probability", "intensity"]
    detector = exported.load(tmp_path / "graded.zip")
    expected = Detector.from_run(graded, [0]).score(faces)
    parts = list(detector.stream([faces[:40], faces[40:41], faces[41:]]))
    for name, rows in detector.score(faces).items():
        np.testing.assert_allclose(rows, expected[name], atol=1e-4, rtol=0)
        np.testing.assert_allclose(np.concatenate([part[name] for part in parts]), rows, atol=1e-5, rtol=0)
    with zipfile.ZipFile(tmp_path / "graded.zip") as archive:
        assert "`intensity`, the expected FACS intensity" in archive.read("MODEL_CARD.md").decode()


def test_file_is_a_zip_of_json_npz_and_program(written):
    with zipfile.ZipFile(written) as archive:
        assert archive.namelist() == [
            "manifest.json",
            "MODEL_CARD.md",
            "program.jax_export",
            "fold_00.npz",
            "fold_01.npz",
        ]
        manifest = json.loads(archive.read("manifest.json"))
    assert manifest["notes"]["trained_on"] == "synthfacs tiny" and manifest["notes"]["landmarks"] == "dlib"
    assert manifest["systems"] == ["anet", "hybrid"]


def test_wrong_faces_and_files_are_refused_with_the_remedy(written, faces, tmp_path):
    detector = exported.load(written)
    for wrong in (faces.astype(np.float32), faces[:, :39], faces[:0]):
        with pytest.raises(DataError, match=r"takes uint8 \[T, 40, 40, 3\]"):
            detector.score(wrong)
    with pytest.raises(DataError, match="is not there; write it with python -m au_jax.export"):
        exported.load(tmp_path / "none.zip")
    (tmp_path / "half.zip").write_bytes(written.read_bytes()[:1000])
    with pytest.raises(DataError, match="no whole detector"):
        exported.load(tmp_path / "half.zip")


def test_the_model_card_says_what_was_trained_on_and_measured(finished, written):
    with zipfile.ZipFile(written) as archive:
        card = archive.read("MODEL_CARD.md").decode()
    results = json.loads((finished / "results.json").read_text())["systems"]["hybrid"]
    f1, auc = results["f1_frame"]["12"], results["auc"]["12"]
    low, high = results["intervals"]["f1_frame"]["12"]
    row = next(line for line in card.partition("## hybrid")[2].splitlines() if line.startswith("| 12 |"))
    assert row.startswith("| 12 | lip corner puller | ")
    assert row.endswith(f" | {f1:.1f} | {low:.1f} to {high:.1f} | {auc:.1f} |")
    for part in (
        "synthfacs tiny (rendered faces",
        "folds 0, 1",
        "Thresholds: calibrated",
        "`probability`, that the AU is present by the last system",
        "## Limits",
        "## Licence",
        "JAX 0.",
    ):
        assert part in card


def test_the_card_of_a_run_without_results_says_so(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "run")
    (tmp_path / "run" / "results.json").unlink()
    export(tmp_path / "run", tmp_path / "d.zip", folds=[0], systems=["anet"])
    with zipfile.ZipFile(tmp_path / "d.zip") as archive:
        card = archive.read("MODEL_CARD.md").decode()
    assert "no results of this system yet" in card and "| 24 | lip pressor |" in card and "## hybrid" not in card


def test_sigmoid_is_the_logistic_function():
    found = exported.sigmoid(np.array([[0.0, np.log(3.0), -1000.0]]))
    np.testing.assert_allclose(found, [[0.5, 0.75, 0.0]], atol=1e-6)


def rewritten(path, source, compression=zipfile.ZIP_STORED, **changes):
    """A copy of a detector with other entries; None leaves one out."""
    with zipfile.ZipFile(source) as archive, zipfile.ZipFile(path, "w", compression) as copy:
        entries = {name: archive.read(name) for name in archive.namelist()} | changes
        for name, content in entries.items():
            if content is not None:
                copy.writestr(name, content)
    return path


def test_a_detector_of_other_entries_kinds_or_sizes_is_one_line(written, tmp_path):
    with zipfile.ZipFile(written) as archive:
        manifest = json.loads(archive.read("manifest.json"))
    for number, (changes, match) in enumerate(
        (
            ({"readme.txt": b"hello"}, "it has an entry 'readme.txt', which no detector has"),
            ({"manifest.json": b"[" * 100_000}, "recursion"),
            ({"manifest.json": b'{"format": ' + b"9" * 5000 + b"}"}, "digits"),
            ({"manifest.json": b"[1, 2]"}, "no whole detector"),
            ({"manifest.json": json.dumps({**manifest, "format": "x" * 1000}).encode()}, "is a 'x{80}', not a"),
            ({"manifest.json": json.dumps({**manifest, "notes": [1]}).encode()}, "no whole detector"),
            ({"manifest.json": json.dumps({**manifest, "folds": ["fold_99.npz"]}).encode()}, "no whole detector"),
            ({"program.jax_export": b"abc" * 100}, "no whole detector"),
            ({"program.jax_export": b""}, "no whole detector"),
            ({"program.jax_export": None}, "no whole detector"),
            ({"fold_00.npz": b"PK"}, "no whole detector"),
        )
    ):
        path = rewritten(tmp_path / f"{number}.zip", written, **changes)
        with pytest.raises(DataError, match=match) as caught:
            exported.load(path)
        assert "\n" not in str(caught.value) and path.name in str(caught.value)
    bomb = rewritten(tmp_path / "bomb.zip", written, zipfile.ZIP_DEFLATED, **{"fold_00.npz": bytes(1 << 24)})
    with pytest.raises(DataError, match="is compressed, which none is that au_jax writes"):
        exported.load(bomb)


def test_every_flip_and_cut_of_a_detector_is_one_line_or_changes_nothing(written, tmp_path):
    content, path, generator = written.read_bytes(), tmp_path / "d.zip", np.random.default_rng(52)
    whole = exported.load(written)
    refused = 0
    for number in range(60):
        place = int(generator.integers(len(content)))
        changed = bytearray(content)
        changed[place] ^= 1 << int(generator.integers(8))
        path.write_bytes(content[:place] if number % 6 == 0 else changed)
        try:
            again = exported.load(path)
        except DataError as error:
            assert "\n" not in str(error) and "d.zip" in str(error)
            refused += 1
            continue
        assert (again.notes, again.aus, again.systems) == (whole.notes, whole.aus, whole.systems)
        for one, other in zip(jax.tree.leaves(again._folds), jax.tree.leaves(whole._folds), strict=True):
            np.testing.assert_array_equal(one, other)
    assert refused > 50


def test_a_detector_of_the_former_format_is_still_read(finished, faces, tmp_path, monkeypatch):
    def former_program(detector):
        """As version 0.2.0 wrote it: without the end of a video."""
        (count,) = jax.export.symbolic_shape("frames")
        variables = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), detector.folds[0])
        program = jax.jit(
            lambda variables, carry, faces: hybrid.apply(detector.config, ("anet",), variables, carry, faces)
        )
        pictures = jax.ShapeDtypeStruct((count, 40, 40, 3), np.uint8)
        return bytes(jax.export.export(program)(variables, {}, pictures).serialize())

    monkeypatch.setattr(exported, "export_program", former_program)
    monkeypatch.setattr(exported, "PROGRAM_FORMAT", exported.FORMER)
    manifest = export(finished, tmp_path / "old.zip", folds=[0], systems=["anet"])
    monkeypatch.undo()
    assert manifest["format"] == "au_jax detector 1"
    found = exported.load(tmp_path / "old.zip").score(faces[:5])
    expected = Detector.from_run(finished, [0], ["anet"]).score(faces[:5])
    np.testing.assert_allclose(found["anet"], expected["anet"], atol=1e-5, rtol=0)


def test_a_video_shorter_than_the_delay_has_a_row_per_frame(finished, written, faces):
    detector = exported.load(written)
    assert detector.delay == 2
    parts = list(detector.stream([faces[:1]]))
    joined = np.concatenate([part["hybrid"] for part in parts])
    assert joined.shape == (1, 12)
    np.testing.assert_allclose(joined, Detector.from_run(finished).score(faces[:1])["hybrid"], atol=1e-5, rtol=0)
