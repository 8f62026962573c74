"""A detector that `au_jax.export` wrote: one file, run with JAX, NumPy and flatbuffers alone - no Flax, no TensorFlow.

detector = au_jax.inference.exported.load("detector.zip")
scores = detector.score(faces)["hybrid"]          # faces [T, S, S, 3] uint8 -> [T, 12], above 0 present
"""

import io
import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.export
import numpy as np

from au_jax.errors import UserError

FORMAT = "au_jax detector 1"
"""First entry of the file's manifest."""

CHUNK = 64
"""Frames of a whole video that go through the networks at once."""

Scores = dict[str, np.ndarray]
"""System -> scores [T, 12] float32, above 0 present."""


class ExportedDetector:
    """The networks of one or more folds; their scores are averaged.

    Attributes:
      aus: AU numbers of the columns.
      systems: what can be asked for; the last one is the best.
      image_size: side of the registered faces in pixels.
      notes: the rest of the manifest: where the detector comes from.
    """

    def __init__(self, manifest: Mapping[str, Any], program: bytes, folds: Iterable[Mapping[str, np.ndarray]]):
        self.aus: tuple[int, ...] = tuple(manifest["aus"])
        self.systems: tuple[str, ...] = tuple(manifest["systems"])
        self.image_size: int = manifest["image_size"]
        self.notes: dict[str, Any] = dict(manifest["notes"])
        exported = jax.export.deserialize(bytearray(program))
        self._step = jax.jit(exported.call)
        arguments, _ = jax.tree.unflatten(exported.in_tree, exported.in_avals)
        variables, carry, _ = arguments
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
          UserError: faces of another size, or none.
        """
        self._check(faces)
        # One compiled length: the last part is filled up, and what follows a video's end changes nothing before it.
        padded = np.pad(faces, [(0, -len(faces) % CHUNK)] + [(0, 0)] * 3)
        parts = list(self.stream(padded[start : start + CHUNK] for start in range(0, len(padded), CHUNK)))
        return {name: np.concatenate([part[name] for part in parts])[: len(faces)] for name in self.systems}

    def stream(self, parts: Iterable[np.ndarray]) -> Iterator[Scores]:
        """Scores of one video whose faces come in consecutive parts; the memory that is needed does not grow.

        The program is compiled once for every length of a part that comes up: keep to one.

        Args:
          parts: faces as in `score`, any number in each.
        """
        carries = [self._carry] * len(self._folds)
        for faces in parts:
            self._check(faces)
            by_fold = []
            for number, variables in enumerate(self._folds):
                carries[number], scores = self._step(variables, carries[number], faces)
                by_fold.append(scores)
            yield {name: np.mean([scores[name] for scores in by_fold], axis=0) for name in self.systems}

    def _check(self, faces: np.ndarray) -> None:
        size = self.image_size
        if faces.dtype != np.uint8 or faces.shape[1:] != (size, size, 3) or not len(faces):
            raise UserError(
                f"faces are {faces.dtype} {list(faces.shape)}; this detector takes uint8 [T, {size}, {size}, 3], faces "
                "that au_jax.faces.register_pictures made"
            )


def load(path: str | Path) -> ExportedDetector:
    """Reads a detector; nothing in the file is executed but the networks' program.

    Raises:
      UserError: the file is none, or is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            manifest = json.loads(archive.read("manifest.json"))
            if manifest["format"] != FORMAT:
                raise UserError(f"{path} is a {manifest['format']!r}, not a {FORMAT!r}; export it again")
            folds = []
            for name in manifest["folds"]:
                with np.load(io.BytesIO(archive.read(name)), allow_pickle=False) as arrays:
                    folds.append(dict(arrays))
            return ExportedDetector(manifest, archive.read("program.jax_export"), folds)
    except FileNotFoundError:
        raise UserError(f"{path} is not there; write it with python -m au_jax.export") from None
    except (zipfile.BadZipFile, LookupError, ValueError, TypeError, RuntimeError, EOFError) as error:
        raise UserError(
            f"{path} is no whole detector ({error}); write it again with python -m au_jax.export"
        ) from error


def probabilities(scores: np.ndarray) -> np.ndarray:
    """The logistic function of scores: above 0.5 where the AU is present. They are not calibrated."""
    return (0.5 + 0.5 * np.tanh(0.5 * np.asarray(scores))).astype(np.float32)


def leaf_name(path: Any) -> str:
    """A variable's name in the file, such as "cnn/params/conv1/kernel"."""
    return jax.tree_util.keystr(path, simple=True, separator="/")
