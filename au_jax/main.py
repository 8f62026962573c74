"""Trains and judges the systems of a config: `python -m au_jax.main --config=configs/demo.py --workdir=runs/demo`.

With --fields it lists every field of the config, with its value and meaning, instead.
"""

from absl import flags
from ml_collections import config_flags

from au_jax.command_line import run_command
from au_jax.config_fields import describe
from au_jax.errors import UserError
from au_jax.run import run
from au_jax.training import multihost


def _command() -> None:
    if FIELDS.value:
        print(describe(CONFIG.value))
    elif WORKDIR.value is None:
        raise UserError("flag --workdir must have a value: the folder of the run; made, or gone on with")
    else:
        if DISTRIBUTED.value or COORDINATOR.value:
            multihost.start(COORDINATOR.value, NUM_PROCESSES.value, PROCESS_ID.value)
        run(CONFIG.value, WORKDIR.value)


if __name__ == "__main__":
    CONFIG = config_flags.DEFINE_config_file("config", None, "Config file, such as configs/demo.py.", lock_config=True)
    flags.mark_flag_as_required("config")
    WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run; made, or gone on with.")
    FIELDS = flags.DEFINE_bool("fields", False, "List every field of the config with its value and meaning.")
    DISTRIBUTED = flags.DEFINE_bool("distributed", False, "Train with the other processes that the scheduler started.")
    COORDINATOR = flags.DEFINE_string("coordinator", None, "Train with other processes: host:port of the first.")
    NUM_PROCESSES = flags.DEFINE_integer("num_processes", None, "With --coordinator: how many there are.")
    PROCESS_ID = flags.DEFINE_integer("process_id", None, "With --coordinator: which this is, from 0.")
    run_command(_command)
