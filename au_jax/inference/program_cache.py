"""Compiled programs of `predict`, kept in the user's cache folder: from the second start on nothing is compiled.

JAX files a program under its code, the versions, the flags and the device it was compiled for. What it leaves open is closed
here. A processor with other instructions gets a folder of its own. A file that a kill cut short or that has changed is removed
before JAX reads it: its own checksum (zlib) tells.
"""

import contextlib
import hashlib
import importlib.util
import os
import platform
import zlib
from pathlib import Path
from typing import Any

import jax

MOST_PROGRAMS = 100
"""Programs that are kept; a run brings three or four, of 30 kB at most."""


def keep_programs() -> Path | None:
    """Makes JAX keep what it compiles from now on, and read what is there.

    The folder is au_jax/compiled in $XDG_CACHE_HOME, by default ~/.cache; it can be deleted at any time. JAX's own settings win:
    a folder in JAX_COMPILATION_CACHE_DIR is used as it is, and JAX_ENABLE_COMPILATION_CACHE=0 keeps nothing.

    Returns:
      The folder; None where JAX's settings stand, or no folder can be had.

    Example:
      >>> keep_programs() is None  # this process has one already
      True
    """
    settings: Any = jax.config  # whose fields pyright does not know
    if settings.jax_compilation_cache_dir or not settings.jax_enable_compilation_cache:
        return None
    # With it, JAX compresses without a checksum: damage would not show.
    if importlib.util.find_spec("zstandard") is not None:
        return None
    folder = cache_folder(os.environ, platform.machine(), _instructions())
    try:
        folder.mkdir(parents=True, exist_ok=True)
        sweep(folder)
    except OSError:  # a home that cannot be written to
        return None
    jax.config.update("jax_compilation_cache_dir", str(folder))
    # The small ones too: the first that is compiled loads LLVM, 20 MB.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    return folder


def cache_folder(environment: "os._Environ[str] | dict[str, str]", machine: str, instructions: str) -> Path:
    """Where the programs for a processor are kept.

    Args:
      environment: such as `os.environ`.
      machine: kind of processor, such as "x86_64".
      instructions: what it can do, as the system lists it.

    Example:
      >>> folder = cache_folder({"XDG_CACHE_HOME": "/tmp/cache"}, "x86_64", "sse4_2 avx2")
      >>> folder.parent.as_posix(), folder.name[:7]
      ('/tmp/cache/au_jax/compiled', 'x86_64-')
      >>> folder == cache_folder({"XDG_CACHE_HOME": "/tmp/cache"}, "x86_64", "sse4_2")
      False
    """
    base = environment.get("XDG_CACHE_HOME") or str(Path("~/.cache").expanduser())
    kind = hashlib.sha256(instructions.encode()).hexdigest()[:12]
    return Path(base) / "au_jax" / "compiled" / f"{machine}-{kind}"


def sweep(folder: Path) -> None:
    """Removes damaged programs, and the oldest of more than `MOST_PROGRAMS`.

    Example:
      >>> _ = (folder / "whole-cache").write_bytes(zlib.compress(b"program"))
      >>> _ = (folder / "cut-cache").write_bytes(zlib.compress(b"program")[:-1])
      >>> sweep(folder)
      >>> [path.name for path in folder.glob("*-cache")]
      ['whole-cache']
    """
    whole = []
    for path in folder.glob("*-cache"):
        # Another process may be sweeping, too.
        with contextlib.suppress(FileNotFoundError):
            try:
                zlib.decompress(path.read_bytes())
            except zlib.error:
                path.unlink()
            else:
                whole.append((path.stat().st_mtime, path))
    for _, path in sorted(whole)[: max(0, len(whole) - MOST_PROGRAMS)]:
        path.unlink(missing_ok=True)


def _instructions() -> str:
    """The processor's features as Linux lists them; elsewhere its name."""
    try:
        with open("/proc/cpuinfo") as stream:
            return next((line for line in stream if line.startswith(("flags", "Features"))), platform.processor())
    except OSError:
        return platform.processor()
