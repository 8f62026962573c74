"""Agreement of two codings of the same recordings: coder against coder, or coder against model.

    au-jax agreement --first=ann.eaf --second=bob.eaf --videos=clip.mp4
    au-jax agreement --first=codes --second=predicted --out=agreement

The same command is `python -m au_jax.agreement`. Label files may be of any kind that `prepare` reads, also the tables and events
that `predict` writes; in folders, files of one name belong together. Prints a sentence for each AU, and writes agreement.md,
agreement.json, agreement.png and agreement.svg into --out: kappa, AC1, PABAK, F1, ICC of intensities, agreement on events, and
errors of onset and offset, with intervals of a bootstrap over recordings.
"""

from absl import flags

from au_jax.command_line import run_command
from au_jax.data.annotations.notation import LETTERS, UNITS
from au_jax.errors import CommandError
from au_jax.labels import AU_NAMES
from au_jax.outputs import check_outputs


def main() -> None:
    """Runs the command line."""
    flags.DEFINE_string(
        "first", None, "Label file of the first coding, or the folder of its label files.", required=True
    )
    flags.DEFINE_string(
        "second", None, "Label file of the second coding, or the folder of its label files.", required=True
    )
    flags.DEFINE_string("videos", None, "The video, or the folder of the videos; without it frames are --fps a second.")
    flags.DEFINE_float("fps", 25.0, "Frames per second where there is no video.", lower_bound=0.001)
    flags.DEFINE_list("aus", [], "AU numbers; those that both codings have by default.")
    flags.DEFINE_enum("level", "A", list(LETTERS), "Intensity from which an AU counts as present.")
    flags.DEFINE_integer("tolerance", 5, "Frames by which events may be apart.", lower_bound=0)
    flags.DEFINE_enum("unit", None, list(UNITS), "What whole numbers of times count, where a file does not say it.")
    flags.DEFINE_string("person", "", "Whose codes are compared, where files hold those of several people.")
    flags.DEFINE_integer("replicates", 1000, "Replicates of the bootstrap.", lower_bound=1)
    flags.DEFINE_integer("seed", 0, "Seed of the bootstrap.", lower_bound=0)
    flags.DEFINE_string("out", "agreement", "Folder of the files.")
    run_command(_agreement)


def _agreement() -> None:
    from au_jax.report.coding_agreement import compare_codings

    values = flags.FLAGS
    if strange := [text for text in values.aus if not text.strip().isdecimal() or int(text) not in AU_NAMES]:
        raise CommandError(f"--aus has {strange[0]!r}; give numbers of AUs, such as --aus=6,12")
    read = {"--first": values.first, "--second": values.second, "--videos": values.videos}
    check_outputs({"--out": values.out}, read, folders=True)
    compare_codings(
        values.first,
        values.second,
        values.out,
        videos=values.videos,
        fps=values.fps,
        aus=[int(text) for text in values.aus],
        level=1 + LETTERS.index(values.level),
        tolerance=values.tolerance,
        unit=values.unit or "",
        person=values.person,
        replicates=values.replicates,
        seed=values.seed,
    )


if __name__ == "__main__":
    main()
