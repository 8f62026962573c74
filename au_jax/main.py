"""Trains and judges the systems of a config: `python -m au_jax.main --config=configs/demo.py --workdir=runs/demo`."""

from absl import flags
from ml_collections import config_flags

from au_jax.command_line import run_command
from au_jax.run import run

if __name__ == "__main__":
    CONFIG = config_flags.DEFINE_config_file("config", None, "Config file, such as configs/demo.py.", lock_config=True)
    flags.mark_flag_as_required("config")
    WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run; made, or gone on with.", required=True)
    run_command(lambda: run(CONFIG.value, WORKDIR.value))
