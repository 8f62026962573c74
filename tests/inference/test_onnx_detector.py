"""Reading a detector in an ONNX file; what it computes is in test_onnx_export.py."""

import sys

import numpy as np
import pytest

from au_jax.errors import DataError, UserError
from au_jax.inference import onnx_detector
from au_jax.inference.onnx_detector import OnnxDetector

MANIFEST = {
    "format": onnx_detector.ONNX_FORMAT,
    "aus": [6, 12],
    "systems": ["anet"],
    "outputs": ["anet"],
    "image_size": 8,
    "delay": 0,
    "notes": {},
}


class Tensor:
    def __init__(self, name, shape, kind="tensor(float)"):
        self.name, self.shape, self.type = name, shape, kind


class Session:
    """Counts frames in its state: the score of AU 6 is the frame's number, that of AU 12 its red."""

    def __init__(self, outputs=("anet", "next_0", "next_1")):
        self.outputs = outputs

    def get_inputs(self):
        state = [Tensor("state_0", [1, 1]), Tensor("state_1", [1], "tensor(bool)")]
        return [Tensor("faces", ["frames", 8, 8, 3], "tensor(uint8)"), *state]

    def get_outputs(self):
        return [Tensor(name, []) for name in self.outputs]

    def run(self, names, inputs):
        assert names == ["anet", "next_0", "next_1"] and sorted(inputs) == ["faces", "state_0", "state_1"]
        count = len(inputs["faces"])
        numbers = inputs["state_0"][0, 0] + np.arange(1, count + 1, dtype=np.float32)
        scores = np.stack([numbers, inputs["faces"][:, 0, 0, 0]], 1).astype(np.float32)
        return [scores, inputs["state_0"] + count, ~inputs["state_1"] | True]


def test_state_goes_from_part_to_part_and_inputs_that_the_file_lacks_are_left_out():
    detector = OnnxDetector(Session(), MANIFEST)
    faces = np.zeros((5, 8, 8, 3), np.uint8)
    faces[3] = 9
    scores = detector.score(faces, chunk=2)["anet"]
    assert scores.tolist() == [[1, 0], [2, 0], [3, 0], [4, 9], [5, 0]]


def test_a_file_whose_outputs_do_not_fit_is_refused():
    with pytest.raises(ValueError, match="its outputs are anet, next_0"):
        OnnxDetector(Session(outputs=("anet", "next_0")), MANIFEST)


def test_without_onnx_runtime_the_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match="onnxruntime, which is missing; pip install onnxruntime"):
        onnx_detector.load(tmp_path / "detector.onnx")


def test_what_is_no_detector_is_named(tmp_path):
    pytest.importorskip("onnxruntime")
    with pytest.raises(DataError, match=r"nothing.onnx is not there; write it with au-jax export --format=onnx"):
        onnx_detector.load(tmp_path / "nothing.onnx")
    for content in (b"", b"no detector", bytes(1000)):
        (tmp_path / "notes.onnx").write_bytes(content)
        with pytest.raises(DataError, match=r"notes.onnx is no detector of au_jax \(.*\); write it with") as caught:
            onnx_detector.load(tmp_path / "notes.onnx")
        assert "\n" not in str(caught.value)
