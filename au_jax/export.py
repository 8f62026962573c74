"""A trained detector as one file: `python -m au_jax.export --run=runs/demo --out=detector.zip`.

The file holds the networks as a program for JAX on any device (StableHLO, by `jax.export`) and their variables as npz: no
pickle, no Flax, no TensorFlow. `au_jax.inference.exported` runs it.
"""

import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
from absl import flags

from au_jax import files
from au_jax.command_line import run_command
from au_jax.inference import streaming
from au_jax.inference.detector import Detector
from au_jax.inference.exported import FORMAT, leaf_name
from au_jax.labels import AUS
from au_jax.predict import numbers
from au_jax.run_dir import fold_name

PLATFORMS: tuple[str, ...] = ("cpu", "cuda", "rocm", "tpu")
"""Where the program runs; it is written for all at once."""


def export(
    run: str | Path, out: str | Path, folds: Sequence[int] | None = None, systems: Sequence[str] | None = None
) -> dict[str, Any]:
    """Writes the detector of a finished run into one file.

    Args:
      run: the --workdir of `au_jax.main`.
      out: file to write.
      folds, systems: as in `Detector.from_run`.

    Returns:
      The file's manifest.

    Raises:
      UserError: as `Detector.from_run`.
      OSError: the file cannot be written.
    """
    detector = Detector.from_run(run, folds, systems)
    config = detector.config
    size = config.data.image_size
    program = export_step(detector)
    names = [f"{fold_name(number)}.npz" for number in range(len(detector.folds))]
    manifest = {
        "format": FORMAT,
        "aus": AUS,
        "systems": detector.systems,
        "image_size": size,
        "folds": names,
        "notes": {
            "run": Path(run).absolute().name,
            "trained_on": config.data.source
            if config.data.source != "synthfacs"
            else f"synthfacs {config.data.preset}",
            "folds": list(folds) if folds else list(range(len(names))),
            "threshold": config.protocol.threshold,
            "jax": jax.__version__,
        },
    }
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        _add(archive, "manifest.json", (json.dumps(manifest, indent=1) + "\n").encode())
        _add(archive, "program.jax_export", program)
        for name, variables in zip(names, detector.folds, strict=True):
            leaves = jax.tree.leaves_with_path(variables)
            _add(archive, name, files.npz_bytes({leaf_name(path): np.asarray(leaf) for path, leaf in leaves}))
    files.write_bytes(Path(out), stream.getvalue())
    return manifest


def export_step(detector: Detector) -> bytes:
    """The networks' program (`trained.Step`) for any number of frames, serialized."""

    def shape_of(leaf: Any) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(jnp.shape(leaf), leaf.dtype)

    (count,) = jax.export.symbolic_shape("frames")
    size = detector.config.data.image_size
    # Compiled already; jax.export asks for what it knows as such.
    step = jax.jit(streaming.make_step(detector.config, detector.systems))
    carry = streaming.initial_carry(detector.config, detector.systems)
    exported = jax.export.export(step, platforms=PLATFORMS)(
        jax.tree.map(shape_of, detector.folds[0]),
        jax.tree.map(shape_of, carry),
        jax.ShapeDtypeStruct((count, size, size, 3), jnp.uint8),
    )
    return bytes(exported.serialize())


def _add(archive: zipfile.ZipFile, name: str, content: bytes | memoryview) -> None:
    # Without the time of day: equal runs give equal files.
    archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content)


def _main() -> None:
    manifest = export(_RUN.value, _OUT.value, numbers(_FOLDS.value), _SYSTEMS.value)
    size = manifest["image_size"]
    print(
        f"{_OUT.value} ({Path(_OUT.value).stat().st_size / 1e6:.1f} MB) holds {', '.join(manifest['systems'])} of "
        f"{len(manifest['folds'])} folds for faces of {size} x {size}; au_jax.inference.exported.load reads it"
    )


if __name__ == "__main__":
    _RUN = flags.DEFINE_string("run", None, "Folder of a finished run.", required=True)
    _OUT = flags.DEFINE_string("out", None, "File to write, such as detector.zip.", required=True)
    _FOLDS = flags.DEFINE_list("folds", [], "Folds whose models serve; all of the run's by default.")
    _SYSTEMS = flags.DEFINE_list("systems", [], "anet, hybrid or both; those that the run has by default.")
    run_command(_main)
