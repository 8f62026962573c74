"""What a command says while it works: lines and bars in the terminal, and the lines with their time in a run's log file."""

import contextlib
import logging
import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tqdm import tqdm

_LOG = logging.getLogger("au_jax")
# absl's handler would print every line a second time.
_LOG.propagate = False
_LOG.setLevel(logging.INFO)
_LOG.addHandler(logging.NullHandler())

_SELDOM = 30.0
"""Seconds between two states of a bar that goes into a file instead of a terminal."""


class _Settings:
    quiet = False


def set_quiet(quiet: bool) -> None:
    """Turns all that is said here off; errors, and lines in log files, stay.

    Example:
      >>> set_quiet(True)
      >>> tell("nobody sees this")
      >>> set_quiet(False)
    """
    _Settings.quiet = quiet


def tell(text: str) -> None:
    """Says a line, in the terminal and in the log file.

    Example:
      >>> tell("fold_00/anet: done in 9 s")
      fold_00/anet: done in 9 s
    """
    _LOG.info(text)
    if not _Settings.quiet:
        tqdm.write(text)
        # Of a command that runs for hours, a log file shows where it is.
        sys.stdout.flush()


def note(text: str) -> None:
    """Writes a line into the log file only.

    Example:
      >>> note("fold_00/anet/cnn: first step done")
    """
    _LOG.info(text)


def bar(items: Iterable[Any] | None = None, **arguments: Any) -> tqdm:
    """A progress bar, as tqdm's; in a file instead of a terminal it is written twice a minute at most.

    Example:
      >>> sum(bar([1, 2, 3], desc="adding", leave=False))
      6
    """
    return tqdm(items, disable=_Settings.quiet, mininterval=1.0 if sys.stderr.isatty() else _SELDOM, **arguments)


@contextlib.contextmanager
def live(text: str) -> Iterator[None]:
    """Shows a line with the time that has passed, in a terminal, until the block ends.

    Example:
      >>> with live("fold_00/hog_svm/fit"):
      ...     total = sum(range(10))
    """
    if _Settings.quiet or not sys.stderr.isatty():
        yield
        return
    done = threading.Event()
    with tqdm(total=0, desc=text, bar_format="{desc}  {elapsed}", leave=False) as line:

        def tick() -> None:
            while not done.wait(1.0):
                line.refresh()

        thread = threading.Thread(target=tick, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


class _Keeper(logging.Handler):
    def __init__(self):
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@contextlib.contextmanager
def kept() -> Iterator[list[logging.LogRecord]]:
    """Keeps what is said in the block, for a log file that cannot be written yet; the list is filled meanwhile.

    Example:
      >>> with kept() as said:
      ...     note("before the run's folder is there")
      >>> [record.getMessage() for record in said]
      ["before the run's folder is there"]
    """
    handler = _Keeper()
    with _listening(handler):
        yield handler.records


@contextlib.contextmanager
def to_file(path: Path, before: Iterable[logging.LogRecord] = ()) -> Iterator[None]:
    """Keeps all lines, the libraries' warnings, and the error that ends the block in a file; an older one is gone on with.

    Args:
      path: of the file; its folder is made.
      before: what was said earlier, from `kept`; it comes first, with its own time.

    Example:
      >>> import tempfile
      >>> path = Path(tempfile.mkdtemp()) / "run.log"
      >>> with to_file(path):
      ...     note("a line")
      >>> path.read_text().split(" ", 2)[2]
      'INFO a line\\n'
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    for record in before:
        handler.handle(record)
    with contextlib.closing(handler), _listening(handler):
        try:
            yield
        except BaseException as error:
            _LOG.error("%s: %s", type(error).__name__, error)
            raise


@contextlib.contextmanager
def _listening(handler: logging.Handler) -> Iterator[None]:
    loggers = (_LOG, logging.getLogger("absl"))
    for logger in loggers:
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
