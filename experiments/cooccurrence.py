"""Which AUs come together, by labels and by predictions.

    python -m experiments.cooccurrence --run=runs/demo [--system=anet]

Writes cooccurrence.png and .svg of the system (the best unless named) and cooccurrence.csv of all systems into the run's
figures/; without --system the picture is that of the run's report.
"""

from pathlib import Path

from absl import flags

from au_jax.command_line import optional_path, run_command
from au_jax.errors import UserError
from au_jax.report.page import save_figure
from au_jax.report.score_figures import cooccurrence_rows, draw_cooccurrence
from au_jax.run_dir import load_run


def cooccurrence(run: Path, system: str | None = None, out: Path | None = None) -> None:
    """Draws labels beside the predictions of a system on the test frames of all finished folds."""
    finished = load_run(run)
    shown = system or finished.best_system
    if shown not in finished.systems:
        raise UserError(f"{run} has no system {shown!r}; choose one of {', '.join(finished.systems)}")
    scores = {name: finished.scores(name) for name in finished.systems}
    draw = lambda: draw_cooccurrence(shown, scores[shown])  # noqa: E731
    save_figure(out or run / "figures", "cooccurrence", draw, {"": cooccurrence_rows(scores)}, run)


if __name__ == "__main__":
    RUN = flags.DEFINE_string("run", None, "Folder of a finished run.", required=True)
    SYSTEM = flags.DEFINE_string("system", None, "System whose predictions are shown; the best unless given.")
    OUT = flags.DEFINE_string("out", None, "Folder of the files; the run's figures/ unless given.")
    run_command(lambda: cooccurrence(Path(RUN.value), SYSTEM.value, optional_path(OUT.value)))
