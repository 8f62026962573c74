"""Precision against recall, per AU, of all systems of a run.

    python -m experiments.precision_recall --run=runs/demo

Writes precision_recall.png, .svg, .csv (the curves) and precision_recall_summary.csv into the run's figures/; the picture is
that of the run's report.
"""

from pathlib import Path

from absl import flags

from au_jax.command_line import optional_path, run_command
from au_jax.report.page import save_figure
from au_jax.report.score_figures import draw_precision_recall, precision_recall_rows, summary_rows
from au_jax.run_dir import load_run


def precision_recall(run: Path, out: Path | None = None) -> None:
    """Draws the curves of all systems, averaged over the finished folds."""
    systems = load_run(run).folded_scores()
    tables = {"": precision_recall_rows(systems), "summary": summary_rows(systems)}
    save_figure(out or run / "figures", "precision_recall", lambda: draw_precision_recall(systems), tables, run)


if __name__ == "__main__":
    RUN = flags.DEFINE_string("run", None, "Folder of a finished run.", required=True)
    OUT = flags.DEFINE_string("out", None, "Folder of the files; the run's figures/ unless given.")
    run_command(lambda: precision_recall(Path(RUN.value), optional_path(OUT.value)))
