"""Trains and evaluates the systems of a config: `au-jax train --config=demo --workdir=runs/demo`.

The same command is `python -m au_jax.main`. With --fields it lists every field of the config instead, with its value and its
meaning.
"""

from absl import flags

from au_jax.command_line import define_config_flag, run_command
from au_jax.config import describe
from au_jax.errors import CommandError


def main() -> None:
    """Runs the command line."""
    config = define_config_flag()
    workdir = flags.DEFINE_string("workdir", None, "Folder of the run; made, or continued.")
    fields = flags.DEFINE_bool("fields", False, "List every field of the config with its value and meaning.")
    distributed = flags.DEFINE_bool("distributed", False, "Train with the other processes that the scheduler started.")
    coordinator = flags.DEFINE_string("coordinator", None, "Train with other processes: host:port of the first.")
    processes = flags.DEFINE_integer("num_processes", None, "With --coordinator: how many there are.")
    process = flags.DEFINE_integer("process_id", None, "With --coordinator: which this is, from 0.")

    def train() -> None:
        if fields.value:
            print(describe(config.value))
            return
        if workdir.value is None:
            raise CommandError("flag --workdir must have a value: the folder of the run; made, or continued")
        # Only now: a list of fields does without.
        from au_jax.run import run
        from au_jax.training import multihost

        if distributed.value or coordinator.value:
            multihost.start(coordinator.value, processes.value, process.value)
        run(config.value, workdir.value)

    run_command(train, tensorflow=True, resumes=True)


if __name__ == "__main__":
    main()
