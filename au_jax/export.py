"""A trained detector as one file: `python -m au_jax.export --run=runs/demo --out=detector.zip`.

`au_jax.inference.exported` writes it, and runs it where JAX and NumPy are. With --format=onnx it is an ONNX file, which
`au_jax.inference.onnx_detector`, predict --run and any other program run with ONNX Runtime.
"""

import sys
from pathlib import Path

from absl import flags

from au_jax.command_line import run_command
from au_jax.inference.detector import parse_folds
from au_jax.inference.exported import export
from au_jax.outputs import check_outputs, is_standard_output
from au_jax.run_dir import RunDir


def main() -> None:
    """Defines the flags and runs the command."""
    flags.DEFINE_string("run", None, "Folder of a finished run.", required=True)
    flags.DEFINE_string("out", None, "File to write, such as detector.zip.", required=True)
    flags.DEFINE_enum("format", "jax", ["jax", "onnx"], "A program for JAX, or an ONNX file.")
    flags.DEFINE_list("folds", [], "Folds whose networks serve; all of the run's by default.")
    flags.DEFINE_list("systems", [], "anet, hybrid or both; those that the run has by default.")
    run_command(_export)


def _export() -> None:
    values = flags.FLAGS
    check_outputs({"--out": values.out}, {"--run": RunDir(values.run).parts()})
    folds = parse_folds(values.folds)
    if values.format == "onnx":
        from au_jax.inference.onnx_export import export_onnx

        manifest, reader = export_onnx(values.run, values.out, folds, values.systems), "onnx_detector"
    else:
        manifest, reader = export(values.run, values.out, folds, values.systems), "exported"
    size = manifest["image_size"]
    print(
        f"{values.out}{_size(values.out)} holds {', '.join(manifest['systems'])} of "
        f"{len(manifest['notes']['folds'])} folds for faces of {size} x {size}; au_jax.inference.{reader}.load reads it",
        file=sys.stderr if is_standard_output(values.out) else sys.stdout,
    )


def _size(out: str) -> str:
    """How large a file is, for readers; "" for devices and FIFOs."""
    return f" ({Path(out).stat().st_size / 1e6:.1f} MB)" if Path(out).is_file() else ""


if __name__ == "__main__":
    main()
