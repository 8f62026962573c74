"""Which files a command may write: none that it reads, and none twice. `au_jax.files.opened` writes them."""

import os
import stat
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from au_jax.errors import CommandError


def check_outputs(
    outputs: Mapping[str, str | Path | None],
    inputs: Mapping[str, str | Path | Iterable[str | Path] | None],
    folders: bool = False,
) -> None:
    """Refuses outputs that would destroy an input or one another; called before anything is opened or computed.

    Args:
      outputs: flag -> file to write; one that is not given is passed over.
      inputs: flag -> what is read; of a folder, all that lies in it. What does not exist is passed over.
      folders: the outputs are folders.

    Raises:
      CommandError: an output is an input, by whatever name or link; lies in an input folder; is another output too; is a
        folder where a file is meant, or the other way round.

    Example:
      >>> import tempfile
      >>> folder = Path(tempfile.mkdtemp())
      >>> (folder / "clip.mp4").touch()
      >>> check_outputs({"--out": folder / "clip.csv"}, {"--video": folder / "clip.mp4"})
      >>> check_outputs({"--out": "clip.mp4"}, {"--video": "clip.mp4"})  # neither is there
      >>> check_outputs({"--overlay": folder / "clip.mp4"}, {"--video": folder / "clip.mp4"})  # doctest: +ELLIPSIS
      Traceback (most recent call last):
      au_jax.errors.CommandError: --overlay=.../clip.mp4 would overwrite --video; give it another name
    """
    taken: dict[Any, str] = {}
    for flag, output in outputs.items():
        if output is None or not os.fspath(output):
            continue
        there = _status(output)
        kind = None if there is None else there.st_mode
        if kind is not None and (stat.S_ISDIR(kind) if not folders else not stat.S_ISDIR(kind)):
            what, wanted = ("a file", "folder") if folders else ("a folder", "file")
            raise CommandError(f"{flag}={output} is {what}; name a {wanted}")
        real = os.path.realpath(output)
        above = [status for folder in (real, *map(str, Path(real).parents)) if (status := _status(folder)) is not None]
        if above and not stat.S_ISDIR(above[0].st_mode) and there is None:
            raise CommandError(
                f"{flag}={output} cannot be made: a file is in the place of its folder; choose another place"
            )
        for name, source in inputs.items():
            for part in [source] if isinstance(source, str | Path) else source or ():
                _check_apart(f"{flag}={output}", there, above, name, part)
        # Where there is nothing yet, names that differ in case only may be one file.
        key = (there.st_dev, there.st_ino) if there else unicodedata.normalize("NFC", real).casefold()
        other = taken.setdefault(key, flag)
        if other != flag and not (there and os.path.samestat(there, os.stat(os.devnull))):
            raise CommandError(f"{flag}={output} is the same as {other}; give each a name of its own")


def check_dataset_place(directory: str, raw: str, workdir: str | Path | None = None) -> None:
    """Refuses a dataset or a run that would be written into raw recordings, and recordings where a dataset is kept and swept.

    Args:
      directory: `config.data.directory`.
      raw: `config.data.raw`; "" where there is none.
      workdir: of the run.

    Raises:
      CommandError: names the field.

    Example:
      >>> raw = folder / "raw"
      >>> raw.mkdir()
      >>> check_dataset_place(str(folder / "dataset"), str(raw))
      >>> check_dataset_place(str(raw / "dataset"), str(raw))  # doctest: +ELLIPSIS
      Traceback (most recent call last):
      au_jax.errors.CommandError: config.data.directory=.../raw/dataset lies in .../raw, which config.data.raw reads; choose ...
    """
    if not raw:
        return
    check_outputs(
        {"config.data.directory": directory, "--workdir": workdir},
        {"config.data.raw": raw},
        folders=True,
    )
    for folder in (Path(directory) / "recordings", Path(directory) / "tfds"):
        status, above = _status(folder), [Path(os.path.realpath(raw)), *Path(os.path.realpath(raw)).parents]
        if status and any(os.path.samestat(status, found) for part in above if (found := _status(part))):
            raise CommandError(
                f"config.data.raw={raw} lies in {folder}, where prepared faces are kept and deleted; move the recordings, or "
                "give another --config.data.directory"
            )


def _check_apart(
    what: str, there: os.stat_result | None, above: list[os.stat_result], name: str, source: str | Path
) -> None:
    status = _status(source) if os.fspath(source) else None
    if status is None:
        return
    if there is not None and os.path.samestat(there, status):
        raise CommandError(f"{what} would overwrite {name}; give it another name")
    if not stat.S_ISDIR(status.st_mode):
        return
    if any(os.path.samestat(folder, status) for folder in above):
        raise CommandError(f"{what} lies in {source}, which {name} reads; choose a place outside")
    if there is not None and there.st_nlink > 1 and stat.S_ISREG(there.st_mode):
        for folder, _, entries in os.walk(source):
            for entry in entries:
                status = _status(os.path.join(folder, entry))
                if status is not None and os.path.samestat(there, status):
                    raise CommandError(f"{what} would overwrite {entry} of {name}; give it another name")


def _status(path: str | Path) -> os.stat_result | None:
    try:
        return os.stat(path)
    except (OSError, ValueError):  # no file can have a name with a null byte
        return None


def is_standard_output(path: str | Path | None) -> bool:
    """Whether a file to write is where `print` goes: what else there is to say belongs elsewhere then.

    Example:
      >>> is_standard_output("/dev/stdout"), is_standard_output("clip.csv")
      (True, False)
    """
    status = _status(path) if path else None
    try:
        return status is not None and os.path.samestat(status, os.fstat(1))
    except OSError:
        return False
