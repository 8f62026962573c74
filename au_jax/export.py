"""A trained detector as one file: `python -m au_jax.export --run=runs/demo --out=detector.zip`.

`au_jax.inference.exported` writes it, and runs it where JAX and NumPy are.
"""

from pathlib import Path

from absl import flags

from au_jax.command_line import run_command
from au_jax.inference.detector import parse_folds
from au_jax.inference.exported import export


def main() -> None:
    """Defines the flags and runs the command."""
    flags.DEFINE_string("run", None, "Folder of a finished run.", required=True)
    flags.DEFINE_string("out", None, "File to write, such as detector.zip.", required=True)
    flags.DEFINE_list("folds", [], "Folds whose networks serve; all of the run's by default.")
    flags.DEFINE_list("systems", [], "anet, hybrid or both; those that the run has by default.")
    run_command(_export)


def _export() -> None:
    values = flags.FLAGS
    manifest = export(values.run, values.out, parse_folds(values.folds), values.systems)
    size = manifest["image_size"]
    print(
        f"{values.out} ({Path(values.out).stat().st_size / 1e6:.1f} MB) holds {', '.join(manifest['systems'])} of "
        f"{len(manifest['folds'])} folds for faces of {size} x {size}; au_jax.inference.exported.load reads it"
    )


if __name__ == "__main__":
    main()
