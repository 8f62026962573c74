"""The paper's Table I (GFT) with our figures beside its own.

    python -m experiments.table1 --runs=runs/gft_3fold,runs/gft_cross,runs/gft_10fold

The runs are those of configs/gft.py; any of them may be left out.
"""

from absl import flags

from au_jax.command_line import run_command
from au_jax.evaluation.paper import TABLE_I
from au_jax.report.paper_table_files import write_tables

if __name__ == "__main__":
    RUNS = flags.DEFINE_list("runs", None, "Folders of finished runs, one per protocol at most.", required=True)
    OUT = flags.DEFINE_string("out", "tables", "Folder of the tables and pictures.")
    ANY = flags.DEFINE_bool("any_dataset", False, "Show runs on other datasets too; the caption says so.")
    run_command(lambda: write_tables(TABLE_I, RUNS.value, OUT.value, any_dataset=ANY.value))
