"""A trained detector as one file: `export` writes it, `load` runs it with JAX, NumPy and flatbuffers alone.

    detector = au_jax.inference.exported.load("detector.zip")
    scores = detector.score(faces)["hybrid"]      # faces [T, S, S, 3] uint8 -> [T, A], above 0 present

The file is a zip of the networks as a program for JAX on any device (StableHLO, by `jax.export`), their variables as npz, a
manifest in JSON and a model card: no pickle, no Flax, no TensorFlow.
"""

import importlib.metadata
import io
import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.export
import numpy as np
from jaxtyping import Float32, UInt8

from au_jax import files
from au_jax.errors import DataError, UserError
from au_jax.inference.writers import sigmoid as sigmoid
from au_jax.labels import AU_NAMES

if TYPE_CHECKING:
    from au_jax.inference.detector import Detector

PROGRAM_FORMAT = "au_jax detector 2"
"""First entry of the file's manifest."""

FORMER = "au_jax detector 1"
"""The format before: its program knows no end of a video, and its scores are never late."""

VIDEO_CHUNK = 64
"""Frames of a whole video that go through the networks at once."""

MANIFEST, CARD, PROGRAM = "manifest.json", "MODEL_CARD.md", "program.jax_export"
"""Names of the entries that every file has; the others are the variables of a fold each."""

PLATFORMS: tuple[str, ...] = ("cpu", "cuda", "rocm", "tpu")
"""Where the program runs; it is written for all at once."""

Scores = dict[str, Float32[np.ndarray, "T A"]]
"""Output -> [T, A] float32: of a system its scores, above 0 present; "probability" that of presence by the last system;
"intensity" 0 to 5."""


class ExportedDetector:
    """The networks of one or more folds; their scores are averaged.

    Attributes:
      aus: AU numbers, in the order of the scores' columns.
      systems: whose scores there are; the last one decides what is present.
      outputs: what `score` and `stream` give: the systems, "probability" unless the file is of before it was there, and
        "intensity" where the run has learned intensities.
      image_size: side of the registered faces in pixels.
      delay: frames after a frame that its scores wait for.
      notes: the rest of the manifest: where the detector comes from.

    Example:
      >>> _ = export(run_folder, folder / "anet.zip", folds=[0], systems=["anet"])
      >>> detector = load(folder / "anet.zip")
      >>> detector.image_size, detector.score(np.zeros((2, 40, 40, 3), np.uint8))["anet"].shape == (2, len(detector.aus))
      (40, True)
    """

    def __init__(self, manifest: Mapping[str, Any], program: bytes, folds: Iterable[Mapping[str, np.ndarray]]):
        self.aus: tuple[int, ...] = tuple(manifest["aus"])
        self.systems: tuple[str, ...] = tuple(manifest["systems"])
        self.outputs: tuple[str, ...] = tuple(manifest.get("outputs", self.systems))
        self.image_size: int = manifest["image_size"]
        self.delay: int = manifest.get("delay", 0)
        self.notes: dict[str, Any] = dict(manifest["notes"])
        exported = jax.export.deserialize(bytearray(program))
        self._step = jax.jit(exported.call)
        arguments, _ = jax.tree.unflatten(exported.in_tree, exported.in_avals)
        variables, carry, *rest = arguments
        self._knows_end = len(rest) > 1
        self._carry = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), carry)
        names, structure = jax.tree.flatten_with_path(variables)
        self._folds = [
            jax.device_put(jax.tree.unflatten(structure, [fold[leaf_name(path)] for path, _ in names]))
            for fold in folds
        ]

    def score(self, faces: np.ndarray) -> Scores:
        """Scores of one video.

        Args:
          faces: [T, S, S, 3] uint8, registered faces in order, as `au_jax.faces` makes them; T is any number.

        Raises:
          DataError: faces of another size, or none.
        """
        self._check(faces)
        # One compiled length: the last part is filled up, and what follows a video's end changes nothing before it.
        count, carries, parts = len(faces) + self.delay, [self._carry] * len(self._folds), []
        padded = np.pad(faces, [(0, count + -count % VIDEO_CHUNK - len(faces))] + [(0, 0)] * 3)
        for start in range(0, len(padded), VIDEO_CHUNK):
            present = np.arange(start, start + VIDEO_CHUNK) < len(faces)
            carries, scores = self._mean_scores(carries, padded[start : start + VIDEO_CHUNK], present)
            parts.append(scores)
        return {name: np.concatenate([part[name] for part in parts])[self.delay : count] for name in self.outputs}

    def stream(self, parts: Iterable[UInt8[np.ndarray, "_ S S 3"]]) -> Iterator[Scores]:
        """Scores of one video whose faces come in consecutive parts; the memory that is needed does not grow.

        The program is compiled once for every length of a part that comes up: keep to one.

        Args:
          parts: faces as in `score`, any number in each.

        Yields:
          The scores of the frames that are ready: those of a part but, with a `delay`, the last ones so far; these come with the
          next part, and behind the last part on their own. Joined, they are a row per frame.
        """
        carries, behind, faces = [self._carry] * len(self._folds), self.delay, None
        for faces in parts:
            self._check(faces)
            carries, scores = self._mean_scores(carries, faces, np.ones(len(faces), bool))
            first, behind = min(behind, len(faces)), max(behind - len(faces), 0)
            yield {name: rows[first:] for name, rows in scores.items()}
        if self.delay and faces is not None:
            # `behind` frames of the delay have come to nothing: the video was shorter than it.
            _, scores = self._mean_scores(
                carries, np.zeros((self.delay, *faces.shape[1:]), np.uint8), np.zeros(self.delay, bool)
            )
            yield {name: rows[behind:] for name, rows in scores.items()}

    def _mean_scores(self, carries: list[Any], faces: np.ndarray, present: np.ndarray) -> tuple[list[Any], Scores]:
        arguments = (faces, present) if self._knows_end else (faces,)
        stepped = [self._step(*pair, *arguments) for pair in zip(self._folds, carries, strict=True)]
        means = {name: np.mean([scores[name] for _, scores in stepped], axis=0) for name in self.outputs}
        return [carry for carry, _ in stepped], means

    def _check(self, faces: np.ndarray) -> None:
        size = self.image_size
        if faces.dtype != np.uint8 or faces.shape[1:] != (size, size, 3) or not len(faces):
            raise DataError(
                f"faces are {faces.dtype} {list(faces.shape)}; this detector takes uint8 [T, {size}, {size}, 3], faces "
                "that au_jax.faces.register_pictures made"
            )


def load(path: str | Path) -> ExportedDetector:
    """Reads a detector; nothing in the file is executed but the networks' program.

    Raises:
      DataError: the file is none, or is damaged.

    Example:
      >>> files.write_text(folder / "notes.zip", "no detector")
      >>> load(folder / "notes.zip")  # doctest: +ELLIPSIS
      Traceback (most recent call last):
      au_jax.errors.DataError: .../notes.zip is no whole detector (File is not a zip file); write it again with ...
    """
    again = "write it again with python -m au_jax.export"
    try:
        with zipfile.ZipFile(path) as archive:
            entries = {entry.filename: entry for entry in files.stored_entries(archive)}
            manifest = json.loads(archive.read(entries[MANIFEST]))
            if manifest["format"] not in (PROGRAM_FORMAT, FORMER):
                raise DataError(f"{path} is a {str(manifest['format'])[:80]!r}, not a {PROGRAM_FORMAT!r}; {again}")
            if strangers := entries.keys() - {MANIFEST, CARD, PROGRAM, *manifest["folds"]}:
                raise ValueError(f"it has an entry {min(strangers)!r}, which no detector has")
            folds = [files.npz_arrays(archive.read(entries[name])) for name in manifest["folds"]]
            return ExportedDetector(manifest, archive.read(entries[PROGRAM]), folds)
    except FileNotFoundError:
        raise DataError(f"{path} is not there; write it with python -m au_jax.export") from None
    except UserError:
        raise
    except files.DAMAGE as error:
        raise DataError(f"{path} is no whole detector ({files.one_line(error)}); {again}") from error


def leaf_name(path: Any) -> str:
    """A variable's name in the file, such as "cnn/params/conv1/kernel".

    Example:
      >>> leaf_name((jax.tree_util.DictKey("conv1"), jax.tree_util.DictKey("kernel")))
      'conv1/kernel'
    """
    return jax.tree_util.keystr(path, simple=True, separator="/")


def export(
    run: str | Path, out: str | Path, folds: Sequence[int] | None = None, systems: Sequence[str] | None = None
) -> dict[str, Any]:
    """Writes the detector of a finished run into one file; this, unlike reading it, needs Flax.

    Args:
      run: the --workdir of `au_jax.main`.
      out: file to write.
      folds, systems: as in `Detector.from_run`.

    Returns:
      The file's manifest.

    Raises:
      UserError: as `Detector.from_run`.
      OSError: the file cannot be written.

    Example:
      >>> import tempfile
      >>> out = Path(tempfile.mkdtemp()) / "detector.zip"
      >>> manifest = export(run_folder, out, folds=[0], systems=["anet"])
      >>> load(out).systems
      ('anet',)
    """
    from au_jax.inference.detector import Detector

    detector = Detector.from_run(run, folds, systems)
    from au_jax.run_dir import fold_name

    names = [f"{fold_name(number)}.npz" for number in range(len(detector.folds))]
    manifest = {**make_manifest(detector, run, folds, PROGRAM_FORMAT), "folds": names}
    card = model_card(detector, manifest, saved_results(run))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        _add(archive, MANIFEST, (json.dumps(manifest, indent=1) + "\n").encode())
        _add(archive, CARD, card.encode())
        _add(archive, PROGRAM, export_program(detector))
        for name, variables in zip(names, detector.folds, strict=True):
            leaves = jax.tree.leaves_with_path(variables)
            _add(archive, name, files.npz_bytes({leaf_name(path): np.asarray(leaf) for path, leaf in leaves}))
    files.write_bytes(Path(out), stream.getvalue())
    return manifest


def make_manifest(detector: "Detector", run: str | Path, folds: Sequence[int] | None, form: str) -> dict[str, Any]:
    """What a detector's file says of it, of whatever form.

    Args:
      detector: of the run.
      run: its folder, of which the name is told.
      folds: that serve; None: all.
      form: name and version of the file's form.

    Example:
      >>> from au_jax.inference.detector import Detector
      >>> manifest = make_manifest(Detector.from_run(run_folder), run_folder, None, PROGRAM_FORMAT)
      >>> manifest["systems"], manifest["notes"]["trained_on"], manifest["notes"]["folds"]
      (('anet', 'hybrid'), 'synthfacs tiny', [0, 1])
    """
    config = detector.config
    preset = f" {config.data.preset}" if config.data.source == "synthfacs" else ""
    return {
        "format": form,
        "aus": detector.aus,
        "systems": detector.systems,
        "outputs": detector.outputs,
        "image_size": detector.image_size,
        "delay": detector.delay,
        "notes": {
            "run": Path(run).absolute().name,
            "trained_on": config.data.source + preset,
            "folds": list(folds) if folds else list(range(len(detector.folds))),
            "threshold": config.protocol.threshold,
            "landmarks": config.data.landmarks,
            "jax": jax.__version__,
        },
    }


def saved_results(run: str | Path) -> dict[str, Any] | None:
    """A run's results for its detector's card; None where it has none yet.

    Example:
      >>> saved_results(folder) is None, sorted(saved_results(run_folder)["systems"])
      (True, ['anet', 'hog_svm', 'hybrid'])
    """
    path = Path(run) / "results.json"
    return files.read_json(path) if path.exists() else None


def export_program(detector: "Detector") -> bytes:
    """`models.hybrid.apply` of a run, for any number of frames, serialized.

    Example:
      >>> from au_jax.inference.detector import Detector
      >>> program = export_program(Detector.from_run(run_folder, folds=[0], systems=["anet"]))
      >>> jax.export.deserialize(bytearray(program)).platforms
      ('cpu', 'cuda', 'rocm', 'tpu')
    """
    from au_jax.models import hybrid

    def shape_of(leaf: Any) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype)

    (count,) = jax.export.symbolic_shape("frames")
    config, size = detector.config, detector.config.data.image_size

    def step(variables: Any, carry: Any, faces: jax.Array, present: jax.Array) -> Any:
        return hybrid.apply(config, detector.systems, variables, carry, faces, present)

    exported = jax.export.export(jax.jit(step), platforms=PLATFORMS)(
        jax.tree.map(shape_of, detector.folds[0]),
        jax.tree.map(shape_of, detector.initial_carry()),
        jax.ShapeDtypeStruct((count, size, size, 3), np.uint8),
        jax.ShapeDtypeStruct((count,), np.bool_),
    )
    return bytes(exported.serialize())


def model_card(detector: "Detector", manifest: Mapping[str, Any], results: Mapping[str, Any] | None) -> str:
    """The model card in Markdown: what the detector was trained on, what it was measured at, and its limits.

    Args:
      detector: that is exported.
      manifest: of the file.
      results: content of the run's results.json; None where the run has none yet.

    Example:
      >>> from au_jax.inference.detector import Detector
      >>> detector = Detector.from_run(run_folder, folds=[0], systems=["anet"])
      >>> notes = {"run": "demo", "trained_on": "synthfacs tiny", "folds": [0], "threshold": "zero"}
      >>> card = model_card(detector, {"notes": notes, "systems": ["anet"], "image_size": 40}, None)
      >>> card.splitlines()[4]
      '- Run: demo; networks of folds 0, whose scores are averaged.'
    """
    notes, systems = manifest["notes"], manifest["systems"]
    synthetic, level = detector.config.data.source == "synthfacs", detector.config.evaluation.level
    lines = [
        "# Model card: facial action unit detector",
        "",
        'Networks after Chu, De la Torre & Cohn, "Learning Spatial and Temporal Cues for Multi-label Facial Action Unit '
        'Detection" (FG 2017), by au_jax.',
        "",
        f"- Run: {notes['run']}; networks of folds {', '.join(map(str, notes['folds']))}, whose scores are averaged.",
        f"- Trained on: {notes['trained_on']}{' (rendered faces, no real people)' if synthetic else ''}.",
        f"- Systems: {', '.join(systems)}; the last one decides what is present.",
        f"- Input: registered faces of {manifest['image_size']} x {manifest['image_size']} pixels, uint8 RGB, in the order "
        "of one video (`au_jax.faces.tracking.register_pictures`).",
        f"- Output: a score per frame and AU, above 0 present{_further(detector.outputs, systems)}.",
        f"- Thresholds: {notes['threshold']} (`config.protocol.threshold`); they are subtracted already.",
        f"- Made with: au_jax {_version('au-jax')}, JAX {jax.__version__}, Flax {_version('flax')}, NumPy {np.__version__}.",
        "",
    ]
    for name in systems:
        thresholds = np.mean([np.asarray(variables["thresholds"][name]) for variables in detector.folds], 0)
        lines += [f"## {name}", ""]
        measured = (results or {}).get("systems", {}).get(name)
        if measured is None:
            lines += ["The run has no results of this system yet: it has not been measured.", ""]
            measured = {"f1_frame": {}, "auc": {}, "intervals": {"f1_frame": {}}}
        lines += [f"| AU | name | threshold | F1-frame | {level:.0%} interval | AUC |", "|---|---|---|---|---|---|"]
        rows = [
            (str(au), AU_NAMES.get(au, ""), f"{part:.3f}") for au, part in zip(detector.aus, thresholds, strict=True)
        ]
        for au, title, threshold in [*rows, ("average", "", "")]:
            interval = measured["intervals"]["f1_frame"].get(au)
            low_high = " to ".join(_percent(value) for value in interval) if interval else "-"
            f1, auc = (_percent(measured[metric].get(au)) for metric in ("f1_frame", "auc"))
            lines.append(f"| {au} | {title} | {threshold} | {f1} | {low_high} | {auc} |")
        lines.append("")
    lines += [
        "F1-frame and AUC are percentages over the test subjects of the finished folds of the run, whom the networks that "
        "scored them had not seen, each by the networks of one fold; the mean over folds that this file computes was not "
        "measured. The intervals are a bootstrap over subjects. The threshold is the mean over folds of what is subtracted from "
        "a network's output. A dash: undefined or not measured.",
        "",
        "## Limits",
        "",
        "- One person at a time: give every person of a video a state of its own.",
        f"- {_FINDING[detector.landmarks]}; far turned, small or covered faces are missed or scored badly.",
        "- AUs say what the face does, not what a person feels. Do not use them to judge people.",
        "- People, cameras and lighting unlike those that it was trained on lower the scores; measure it on your own videos.",
        *(
            ["- Trained on rendered faces: it shows how the method works and is no judge of real people."]
            if synthetic
            else []
        ),
        "- Score parts of a video in order: the hybrid remembers the frames before.",
        "",
        "## Licence",
        "",
        "The code of au_jax is under the Apache License 2.0. The weights follow from the training data: recordings of BP4D, GFT "
        "and DISFA are licensed for research, and their terms hold for networks trained on them; rendered faces have none. The "
        f"{_LICENCE[detector.landmarks]}.",
        "",
    ]
    return "\n".join(lines)


_FINDING = {
    "dlib": "Faces must be found by a frontal detector",
    "mesh": "Faces must be registered by MediaPipe's face mesh (`config.data.landmarks=mesh`)",
}
_LICENCE = {
    "dlib": "landmark model that registers faces (iBUG 300-W) is for non-commercial use",
    "mesh": "models that register faces (MediaPipe's BlazeFace and face mesh) are under the Apache License 2.0",
}


def _further(outputs: Sequence[str], systems: Sequence[str]) -> str:
    told = {
        "probability": "`probability`, that the AU is present by the last system, calibrated per AU and fold on validation "
        "subjects (Platt scaling); it holds where AUs are as frequent as among them",
        "intensity": "`intensity`, the expected FACS intensity, 0 (absent) to 5 (E), of AUs that were learned with intensities",
    }
    return "".join(f"; {told[name]}" for name in outputs if name not in systems)


def _percent(value: float | None) -> str:
    return "-" if value is None or not np.isfinite(value) else f"{value:.1f}"


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"


def _add(archive: zipfile.ZipFile, name: str, content: bytes | memoryview) -> None:
    # Without the time of day: equal runs give equal files.
    archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content)
