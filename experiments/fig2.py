"""The paper's Figure 2 (d, e): the filters of a trained CNN's first layer, and how much of them is colour.

    python -m experiments.fig2 --run=runs/demo [--other=runs/gft]

Writes fig2.png, fig2.svg and fig2.csv into the run's figures/.
"""

from pathlib import Path

from absl import flags

from au_jax.command_line import optional_path, run_command
from au_jax.report.page import save_figure
from au_jax.report.paper_figures import draw_filters, filter_rows
from au_jax.run_dir import TrainedFold


def fig2(run: Path, other: Path | None = None, fold: int = 0, out: Path | None = None) -> None:
    """Draws conv1 of a fold of a run, beside that of another run."""
    runs = [TrainedFold(run, fold), *([TrainedFold(other)] if other else [])]
    networks = [(one.title, one.cnn["params"]["conv1"]["kernel"]) for one in runs]
    save_figure(out or run / "figures", "fig2", lambda: draw_filters(networks), {"": filter_rows(networks)}, run)


if __name__ == "__main__":
    RUN = flags.DEFINE_string("run", None, "Folder of a finished run.", required=True)
    OTHER = flags.DEFINE_string("other", None, "A run on another dataset, shown beside it.")
    FOLD = flags.DEFINE_integer("fold", 0, "Fold of --run.")
    OUT = flags.DEFINE_string("out", None, "Folder of the files; the run's figures/ unless given.")
    run_command(lambda: fig2(Path(RUN.value), optional_path(OTHER.value), FOLD.value, optional_path(OUT.value)))
