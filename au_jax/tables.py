"""The paper's Tables I (GFT) and II (BP4D) with our metrics beside its own.

    au-jax tables --table=2 --runs=runs/bp4d_3fold,runs/bp4d_cross,runs/bp4d_10fold

The same command is `python -m au_jax.tables`. The runs are those of the configs bp4d and gft; any of them may be left out. With
--table=both, each run goes to the table of its dataset.
"""

from absl import flags

from au_jax.command_line import run_command
from au_jax.outputs import check_outputs
from au_jax.report.paper_table_files import write_paper_tables
from au_jax.run_dir import RunDir


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
        write_paper_tables(table_flag.value, runs.value, out.value, any_dataset=any_dataset.value)

    run_command(command)


if __name__ == "__main__":
    main()
