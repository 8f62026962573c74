"""From raw recordings to the registered dataset: `au-jax prepare --config=bp4d --raw=/data/BP4D`.

The same command is `python -m au_jax.prepare`. A run that was killed continues with the next recording. The same
command again prepares those recordings again that have changed, or whose fields have, and says so; `--again` prepares all.
"""

from pathlib import Path

from absl import flags

from au_jax.command_line import define_config_flag, run_command
from au_jax.config import replace
from au_jax.outputs import check_dataset_place


def main() -> None:
    """Runs the command line."""
    config = define_config_flag()
    raw = flags.DEFINE_string("raw", None, "Folder of raw recordings; wins over config.data.raw.")
    again = flags.DEFINE_bool("again", False, "Prepare all recordings again, those that have not changed as well.")
    check_only = flags.DEFINE_bool("check_only", False, "Check the copy of the recordings and stop there.")

    def command() -> None:
        from au_jax import files
        from au_jax.data import preparation

        data = config.value.data
        if raw.value:
            data = replace(data, raw=raw.value)
            if data.source == "synthfacs" and data.stands_for:
                data = replace(data, source=data.stands_for)
                print(
                    f"config.data.source is {data.source}; give --config.data.source={data.source} to au_jax.main as well"
                )
        check_dataset_place(data.directory, data.raw)
        if check_only.value:
            result = preparation.check_copy(data)
            print(result.text())
            result.raise_if_unusable(data.skip_unusable)
            return
        builder = preparation.prepare(data, again=again.value, renew=True)
        splits = builder.info.splits
        frames = sum(split.num_examples for split in splits.values())
        print(f"{len(splits)} subjects, {frames} frames in {Path(builder.data_dir)}")
        report = preparation.report_path(data)
        if report.exists():
            prepared = files.read_json(report)["prepared"]
            print(
                f"a face in {prepared['frames_with_a_face']} of {prepared['frames']} frames; {report} has what was found"
            )
        sheet = preparation.sheet_path(data)
        if sheet.exists():
            print(f"look at {sheet} before you train: faces with their codes, the least certain first")

    run_command(command, tensorflow=True, resumes=True)


if __name__ == "__main__":
    main()
