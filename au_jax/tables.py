"""The paper's Tables I (GFT) and II (BP4D) with our metrics beside its own.

    au-jax tables --table=2 --runs=runs/bp4d_3fold,runs/bp4d_cross,runs/bp4d_10fold

The same command is `python -m au_jax.tables`. The runs are those of the configs bp4d and gft; any of them may be left out. With
--table=both, each run goes to the table of its dataset. A run of an older version whose results.json lacks
a metric gets it first, from its saved scores.
"""

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from au_jax import console
from au_jax.command_line import run_command
from au_jax.errors import DataError
from au_jax.evaluation.tables import METRICS, lacking_metrics
from au_jax.outputs import check_outputs
from au_jax.report.paper_table_files import write_paper_tables
from au_jax.run_dir import RunDir


def renew(folders: Sequence[str | Path]) -> None:
    """Makes results of older versions' runs anew where metrics of today's lack (`au_jax.run.renew_results`), and says so.

    Where its saved scores are gone, a run stays as it is, which is told.

    Args:
      folders: of finished runs.

    Raises:
      DataError: a folder is no finished run.

    Example:
      >>> renew([run_folder])  # made by this version
    """
    for folder in folders:
        run = RunDir(folder)
        # Says first whether the folder is a run at all.
        run.resolved_config()
        if lacking := lacking_metrics(run.results()):
            # Imports TensorFlow.
            from au_jax.run import renew_results

            names = ", ".join(METRICS[name] for name in lacking)
            try:
                renew_results(folder)
            except DataError as error:
                console.tell(f"{folder} stays as it is: {error}")
            else:
                console.tell(
                    f"results.json and results.md of {folder} are made anew from its saved scores; they lacked {names}"
                )


def main(table: str = "both") -> None:
    """Runs the command line.

    Args:
      table: what --table is unless given.
    """
    table_flag = flags.DEFINE_enum("table", table, ["1", "2", "both"], "Of the paper.")
    runs = flags.DEFINE_list("runs", None, "Folders of finished runs, one per protocol at most.", required=True)
    out = flags.DEFINE_string("out", "tables", "Folder of the tables and pictures.")
    any_dataset = flags.DEFINE_bool("any_dataset", False, "Show runs on other datasets too; the caption says so.")

    def command() -> None:
        check_outputs({"--out": out.value}, {"--runs": RunDir.parts_of(runs.value)}, folders=True)
        renew(runs.value)
        write_paper_tables(table_flag.value, runs.value, out.value, any_dataset=any_dataset.value)

    run_command(command)


if __name__ == "__main__":
    main()
