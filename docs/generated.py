"""Fills the parts of pages that follow from the code: every config field, every flag, the changelog. A hook of mkdocs.

A page asks for a part with a line of its own:

    {{ config-fields }}
    {{ flags: au_jax.main }}
    {{ file: CHANGELOG.md }}
"""

import contextlib
import importlib
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]

COMMANDS: dict[str, str] = {
    "train": "au_jax.main",
    "prepare": "au_jax.prepare",
    "predict": "au_jax.predict",
    "export": "au_jax.export",
    "compare": "au_jax.compare",
    "agreement": "au_jax.agreement",
    "tables": "au_jax.tables",
    "figures": "au_jax.figures",
}
"""Subcommand of `au-jax` -> the module that `python -m` runs for the same."""

PROGRAMS: tuple[str, ...] = (
    "au_jax.synthfacs.contact_sheet",
    "experiments.reproduce",
    "experiments.seeds",
    "experiments.ablations",
)
"""Modules with flags that are no subcommand."""

PLACEHOLDER = re.compile(r"^\{\{ (config-fields|flags|file)(?:: (\S+))? \}\}$", re.M)


SEARCH_BOOST: dict[str, float] = {"questions.md": 4.0, "reference/api.md": 0.2}
"""Page -> factor on its rank in the search: short answers first, docstrings last."""


def on_page_markdown(markdown: str, page: Any = None, **_: Any) -> str:
    """Replaces the placeholders of a page and sets its rank in the search (called by mkdocs)."""
    if page is not None and page.file.src_uri in SEARCH_BOOST:
        page.meta["search"] = {"boost": SEARCH_BOOST[page.file.src_uri]}
    parts = {"config-fields": lambda _: config_table(), "flags": flag_table, "file": included}
    return PLACEHOLDER.sub(lambda match: parts[match[1]](match[2]), markdown)


def on_post_build(**_: Any) -> None:
    """Forgets what was read, so that a server that builds again sees changes (called by mkdocs)."""
    _FLAGS.clear()


def config_table() -> str:
    """Every field of a config, in a table for each section."""
    sections: dict[str, list[Any]] = {}
    for field in config_fields():
        sections.setdefault(field.name.rpartition(".")[0].partition(".")[0], []).append(field)
    lines = []
    for section, fields in sections.items():
        lines += [f"## {section or 'The run'}", ""]
        lines += ["| field | default | meaning | allowed |", "|---|---|---|---|"]
        for field in fields:
            default, meaning = _cell(repr(field.default)), _cell(field.meaning)
            lines.append(f"| `{field.name}` | `{default}` | {meaning} | {_cell(field.allowed)} |")
        lines.append("")
    return "\n".join(lines)


def config_fields() -> list[Any]:
    """The fields of the default config, with name, default, meaning and what is allowed (choices, range; may be empty)."""
    sys.path.insert(0, str(ROOT))
    try:
        from au_jax import config

        return list(config.fields(config.get_config()))
    finally:
        sys.path.remove(str(ROOT))


def flag_table(module: str) -> str:
    """The flags of a command, in a table."""
    lines = ["| flag | default | meaning |", "|---|---|---|"]
    for name, default, meaning in flags_of(module):
        lines.append(f"| `--{name}` | {f'`{_cell(default)}`' if default else ''} | {_cell(meaning)} |")
    return "\n".join(lines)


_FLAGS: dict[str, list[tuple[str, str, str]]] = {}


def flags_of(module: str) -> list[tuple[str, str, str]]:
    """Name, default and help of a command's own flags, as the command defines them.

    Raises:
      RuntimeError: the command cannot be started.
    """
    if not _FLAGS:
        # In a process of their own: several commands have flags of one name.
        done = subprocess.run(
            [sys.executable, __file__, *_existing()], cwd=ROOT, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"the commands' flags cannot be read: {done.stderr[-2000:]}")
        _FLAGS.update(json.loads(done.stdout.splitlines()[-1]))
    return [tuple(flag) for flag in _FLAGS.get(module, [])]


def included(path: str) -> str:
    """A file of the repository, with its headings one level lower."""
    return re.sub(r"^#", "##", (ROOT / path).read_text("utf-8"), flags=re.M)


def _existing() -> list[str]:
    sys.path.insert(0, str(ROOT))
    try:
        return [name for name in (*COMMANDS.values(), *PROGRAMS) if importlib.util.find_spec(name)]
    finally:
        sys.path.remove(str(ROOT))


def _cell(text: str) -> str:
    return " ".join(str(text).split()).replace("|", "\\|")


def _read_flags(modules: list[str]) -> dict[str, list[tuple[str, str, str]]]:
    """Starts every command as `python -m` does, up to where it would parse its flags."""
    import runpy
    import warnings

    sys.path.insert(0, str(ROOT))
    from absl import flags

    from au_jax import command_line

    warnings.simplefilter("ignore", RuntimeWarning)  # runpy: the module is imported already
    command_line.run_command = lambda *_, **__: None
    found = {}
    for module in modules:
        # Defines the flags of the libraries, which are not the command's.
        figures = getattr(importlib.import_module(module), "FIGURES", {"": None})
        users: dict[tuple[str, str, str], list[str]] = {}
        for figure in figures:
            before = set(flags.FLAGS)
            sys.argv = [module, *filter(None, [figure])]
            with contextlib.suppress(SystemExit):
                runpy.run_module(module, run_name="__main__")
            for name in sorted(set(flags.FLAGS) - before):
                flag = name, _default(flags.FLAGS[name]), flags.FLAGS[name].help or ""
                users.setdefault(flag, []).append(figure)
                delattr(flags.FLAGS, name)
        found[module] = [
            (name, default, meaning if len(names) == len(figures) else f"{', '.join(names)}: {meaning}")
            for (name, default, meaning), names in users.items()
        ]
    return found


def _default(flag: Any) -> str:
    value = flag.default
    if isinstance(value, (list, tuple)):
        value = ",".join(map(str, value))
    return "" if value is None or value == "" else str(value)


if __name__ == "__main__":
    print(json.dumps(_read_flags(sys.argv[1:])))
