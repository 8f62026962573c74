"""The paper's Table II (BP4D) with our figures beside its own.

    python -m experiments.table2 --runs=runs/bp4d_3fold,runs/bp4d_cross,runs/bp4d_10fold

The runs are those of configs/bp4d.py; any of them may be left out.
"""

from absl import flags

from au_jax.command_line import run_command
from au_jax.evaluation.paper import TABLE_II
from au_jax.report.paper_table_files import write_tables

if __name__ == "__main__":
    RUNS = flags.DEFINE_list("runs", None, "Folders of finished runs, one per protocol at most.", required=True)
    OUT = flags.DEFINE_string("out", "tables", "Folder of the tables and pictures.")
    ANY = flags.DEFINE_bool("any_dataset", False, "Show runs on other datasets too; the caption says so.")
    run_command(lambda: write_tables(TABLE_II, RUNS.value, OUT.value, any_dataset=ANY.value))
