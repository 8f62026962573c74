"""A detector in an ONNX file, run by ONNX Runtime: no JAX, no Flax, no TensorFlow.

    detector = au_jax.inference.onnx_detector.load("detector.onnx")
    scores = detector.score(faces)["hybrid"]      # faces [T, S, S, 3] uint8 -> [T, A], above 0 present

`onnx_export` writes the file. Other programs run it without this package:

| input | |
|---|---|
| `faces` | [frames, S, S, 3] uint8 RGB, registered faces in order; any number of frames |
| `present` | [frames] bool, False behind the video's end |
| `state_0`, .. | zeros before the video's first frame, then the `next_0`, .. of the call before |

| output | |
|---|---|
| `anet`, `hybrid` | [frames, A] float32, the mean over folds, above 0 present; row t is of frame t - `delay` |
| `probability` | [frames, A] float32, that of presence by the last system, where the run is calibrated |
| `intensity` | [frames, A] float32, 0 to 5, where the run has learned intensities |
| `next_0`, .. | the state after these frames |

The property `au_jax` of the file is its manifest in JSON, `model_card` its card.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from au_jax import files
from au_jax.cores import usable_cores
from au_jax.errors import DataError, UserError
from au_jax.inference.scoring import FaceScorer

ONNX_FORMAT = "au_jax onnx 1"
"""First entry of the file's manifest."""

MANIFEST, CARD = "au_jax", "model_card"
"""Names of the file's properties."""

_TYPES = {"tensor(float)": np.float32, "tensor(bool)": np.bool_}


class OnnxDetector(FaceScorer):
    """The networks of an ONNX file (`load`).

    Args:
      session: of ONNX Runtime.
      manifest: of the file.

    Attributes:
      notes: where the detector comes from.

    Example:
      >>> OnnxDetector.__mro__[1].__name__  # scores and tables as those of a run
      'FaceScorer'
    """

    def __init__(self, session: Any, manifest: dict[str, Any]):
        self.aus = tuple(manifest["aus"])
        self.systems = tuple(manifest["systems"])
        self.outputs = tuple(manifest["outputs"])
        self.image_size = int(manifest["image_size"])
        self.delay = int(manifest["delay"])
        self.notes = dict(manifest["notes"])
        # Files of before were of faces that dlib found.
        self.landmarks = str(self.notes.get("landmarks", "dlib"))
        self._session = session
        self._state = {each.name: each for each in session.get_inputs() if each.name.startswith("state_")}
        names = [each.name for each in session.get_outputs()]
        self._next = [name for name in names if name.startswith("next_")]
        if len(self._next) != len(self._state) or not {*self.outputs} <= {*names}:
            raise ValueError(f"its outputs are {', '.join(names)}")

    def __repr__(self) -> str:
        return f"OnnxDetector(systems={self.systems}, image_size={self.image_size})"

    def _initial_carries(self) -> list[Any]:
        return [np.zeros(each.shape, _TYPES[each.type]) for each in self._state.values()]

    def _mean_scores(
        self, carries: list[Any], faces: np.ndarray, present: np.ndarray
    ) -> tuple[list[Any], dict[str, np.ndarray]]:
        inputs = {"faces": faces, "present": present, **dict(zip(self._state, carries, strict=True))}
        # An input that the systems do not need is none of the file's.
        known = {each.name for each in self._session.get_inputs()}
        inputs = {name: array for name, array in inputs.items() if name in known}
        outputs = self._session.run([*self.outputs, *self._next], inputs)
        return outputs[len(self.outputs) :], dict(zip(self.outputs, outputs, strict=False))


def load(path: str | Path) -> OnnxDetector:
    """Reads a detector; nothing in the file is executed but the operators of ONNX.

    Raises:
      UserError: ONNX Runtime is not installed.
      DataError: the file is none, or is damaged.

    Example:
      >>> files.write_text(folder / "notes.onnx", "no detector")
      >>> load(folder / "notes.onnx")  # doctest: +SKIP
      Traceback (most recent call last):
      au_jax.errors.DataError: .../notes.onnx is no detector of au_jax (...); write it with au-jax export --format=onnx
    """
    runtime = _runtime()
    again = "write it with au-jax export --format=onnx"
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path} is not there; {again}")
    options = runtime.SessionOptions()
    # As many threads as the process may have cores; ONNX Runtime counts the machine's.
    options.intra_op_num_threads = usable_cores()
    try:
        session = runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        properties = session.get_modelmeta().custom_metadata_map
        if MANIFEST not in properties:
            raise ValueError("its properties name no AUs")
        manifest = json.loads(properties[MANIFEST])
        if manifest["format"] != ONNX_FORMAT:
            raise ValueError(f"it is a {str(manifest['format'])[:80]!r}, not a {ONNX_FORMAT!r}")
        return OnnxDetector(session, manifest)
    # ONNX Runtime raises errors of its own for each kind of damage, which have no common class but this one.
    except Exception as error:
        raise DataError(f"{path} is no detector of au_jax ({files.one_line(error)}); {again}") from error


def _runtime() -> Any:
    try:
        import onnxruntime  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise UserError(
            "detectors in ONNX files are run by onnxruntime, which is missing; pip install onnxruntime"
        ) from error
    return onnxruntime
