"""Detectors in ONNX files: written from a run, and run by ONNX Runtime without JAX."""

import csv
import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from au_jax.errors import UserError
from au_jax.inference import onnx_export
from au_jax.inference.detector import Detector

WITHOUT_JAX = (
    "import sys\n"
    "for name in ('jax', 'jaxlib', 'flax', 'orbax', 'optax', 'tensorflow', 'sklearn', 'scipy'): sys.modules[name] = None\n"
)


def python(*arguments):
    done = subprocess.run([sys.executable, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def exported(finished, tmp_path_factory):
    """The ONNX file of a run, written by the command: in this process the tests' strict types would meet jax2onnx's own."""
    pytest.importorskip("jax2onnx", reason="see requirements-onnx.txt")
    out = tmp_path_factory.mktemp("onnx") / "detector.onnx"
    done = python("-m", "au_jax.export", f"--run={finished}", f"--out={out}", "--format=onnx")
    assert (
        "anet, hybrid of 2 folds" in done.stdout
        and "onnx_detector.load" in done.stdout
        and "Traceback" not in done.stderr
    )
    return out


@pytest.mark.slow
@pytest.mark.parametrize("chunk", [1, 7, 32])
def test_scores_of_any_number_of_frames_are_those_of_the_run(exported, finished, tmp_path, chunk):
    detector = Detector.from_run(finished)
    size = detector.image_size
    faces = np.random.default_rng(0).integers(0, 256, (21, size, size, 3)).astype(np.uint8)
    np.save(tmp_path / "faces.npy", faces)
    python(
        "-c",
        f"{WITHOUT_JAX}import numpy as np\nfrom au_jax.inference.onnx_detector import load\n"
        f"scores = load({str(exported)!r}).score(np.load({str(tmp_path / 'faces.npy')!r}), {chunk})\n"
        f"np.savez({str(tmp_path / 'scores.npz')!r}, **scores)",
    )
    found, expected = np.load(tmp_path / "scores.npz"), detector.score(faces)
    assert sorted(found) == sorted(detector.outputs)
    for name in detector.outputs:
        assert np.nanmax(np.abs(expected[name])) > 0.1  # a probability is NaN for an AU that a fold could not calibrate
        np.testing.assert_allclose(found[name], expected[name], atol=1e-5)


@pytest.mark.slow
def test_the_file_names_its_inputs_outputs_and_origin(exported, finished):
    import onnxruntime

    session = onnxruntime.InferenceSession(exported)
    inputs = {each.name: each.shape for each in session.get_inputs()}
    detector = Detector.from_run(finished)
    assert inputs["faces"] == ["frames", *[detector.image_size] * 2, 3] and inputs["present"] == ["frames"]
    outputs = [each.name for each in session.get_outputs()]
    states = sum(name.startswith("state_") for name in inputs)
    assert outputs == [*detector.outputs, *(f"next_{number}" for number in range(states))] and states > 4
    properties = session.get_modelmeta().custom_metadata_map
    assert json.loads(properties["au_jax"])["aus"] == list(detector.aus)
    assert properties["model_card"].startswith("# ")


@pytest.mark.slow
def test_predict_runs_the_file_without_jax(exported, finished, tmp_path):
    pytest.importorskip("dlib")
    (tmp_path / "clip").mkdir()
    Image.new("RGB", (64, 48)).save(tmp_path / "clip" / "1.png")
    command = f"{WITHOUT_JAX}from au_jax import predict\nsys.argv[0] = 'predict'\npredict.main()"
    done = python("-c", command, f"--run={exported}", f"--video={tmp_path / 'clip'}", f"--out={tmp_path / 'aus.csv'}")
    assert "1 frames, 0 with a face" in done.stdout and "trained on synthetic faces" in done.stdout
    with open(tmp_path / "aus.csv") as stream:
        assert len(list(csv.DictReader(stream))) == 1
    refused = subprocess.run(
        [sys.executable, "-m", "au_jax.predict", f"--run={exported}", "--folds=0", "--video=clip", "--out=aus.csv"],
        capture_output=True,
        text=True,
    )
    assert refused.returncode == 1 and "has its folds and systems; choose them with au-jax export" in refused.stderr


def test_without_jax2onnx_the_line_says_what_to_install(finished, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "jax2onnx", None)
    with pytest.raises(UserError, match=r"of which jax2onnx is missing; make onnx, or pip install --no-deps -r"):
        onnx_export.export_onnx(finished, tmp_path / "detector.onnx")
    assert not (tmp_path / "detector.onnx").exists()
