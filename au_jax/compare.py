"""Compares two runs on the same people: paired differences per AU and on average, with intervals, and costs side by side.

    au-jax compare --runs=runs/demo,runs/adamw [--systems=hybrid]
    au-jax compare --runs=runs/demo,runs/demo --systems=anet,hybrid

The same command is `python -m au_jax.compare`. Writes compare.md, compare.json, compare.png and compare.svg into --out. Runs of
other subjects, frames, labels or AUs are refused.
"""

from absl import flags

from au_jax.command_line import run_command
from au_jax.outputs import check_outputs
from au_jax.report.run_comparison import compare_runs
from au_jax.run_dir import RunDir


def main() -> None:
    """Runs the command line."""
    runs = flags.DEFINE_list("runs", None, "Folders of two finished runs, a and b.", required=True)
    systems = flags.DEFINE_list(
        "systems", ["hybrid"], "The system that is compared, or that of run a and that of run b."
    )
    out = flags.DEFINE_string("out", "comparison", "Folder of the files.")

    def command() -> None:
        check_outputs({"--out": out.value}, {"--runs": RunDir.parts_of(runs.value)}, folders=True)
        compare_runs(runs.value, systems.value, out.value)

    run_command(command)


if __name__ == "__main__":
    main()
