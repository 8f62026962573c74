"""Every command and snippet of README and docs fits the code: flags and config fields are parsed, names exist."""

import ast
import importlib
import importlib.util
import itertools
import re
import runpy
import shlex
import sys
from functools import reduce
from pathlib import Path

import pytest
from absl import app, flags

import au_jax

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
PAGES = {"README.md": README} | {
    str(path.relative_to(ROOT)): path.read_text("utf-8") for path in sorted((ROOT / "docs").rglob("*.md"))
}

SPEC = importlib.util.spec_from_file_location("generated", ROOT / "docs" / "generated.py")
assert SPEC is not None and SPEC.loader is not None
generated = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(generated)


def blocks(kind):
    """The fenced blocks of a language, of all pages."""
    return [
        block.replace("\\\n", " ") if kind == "sh" else block
        for text in PAGES.values()
        for block in re.findall(rf"^```{kind}[^\n]*\n(.*?)^```$", text, re.M | re.S)
    ]


def commands(text):
    """Module and options of every `python -m` or `au-jax`, of a line or in a text that is one of its words."""
    words = shlex.split(text, comments=True)
    for place, word in enumerate(words):
        if re.search(r"\b(au-jax|-m) ", word):
            yield from commands(word.partition("=")[2])
        elif word in ("-m", "au-jax"):
            found = itertools.takewhile(lambda word: not re.match(r"[&;|]", word), words[place + 1 :])
            # What a shell loop or an array job puts in.
            name, *options = (re.sub(r"\$\w+|\$\(\(.*?\)\)", "0", word) for word in found)
            if word == "-m" or name in generated.COMMANDS:
                yield (name if word == "-m" else generated.COMMANDS[name], *options)


COMMANDS = sorted({command for block in blocks("sh") for line in block.splitlines() for command in commands(line)})
OURS = [command for command in COMMANDS if command[0].startswith(("au_jax", "experiments"))]


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 150


def test_the_pages_have_commands_and_snippets():
    assert len(OURS) > 25 and len(blocks("python")) >= 6


@pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")
@pytest.mark.parametrize("command", OURS, ids=" ".join)
def test_a_command_is_understood(command, monkeypatch):
    module, *options = command
    understood = []

    def parse(main, argv=None, flags_parser=flags.FLAGS):
        flags_parser(sys.argv)
        flags.FLAGS.validate_all_flags()
        understood.append(module)

    monkeypatch.setattr(app, "run", parse)
    monkeypatch.setattr(sys, "argv", [module, *options])
    monkeypatch.chdir(ROOT)
    before = set(flags.FLAGS)
    try:
        runpy.run_module(module, run_name="__main__")
    finally:
        for name in set(flags.FLAGS) - before:
            delattr(flags.FLAGS, name)
        flags.FLAGS.unparse_flags()
    assert understood == [module]


@pytest.mark.parametrize(
    "target", sorted({target for text in PAGES.values() for target in re.findall(r"(?:^|`)make ([a-z]+)", text, re.M)})
)
def test_a_target_that_a_page_names_is_in_the_makefile(target):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.M)


@pytest.mark.parametrize("snippet", blocks("python"))
def test_names_of_a_snippet_exist(snippet):
    tree = ast.parse(snippet)
    for chain in re.findall(r"au_jax(?:\.\w+)+", ast.unparse(tree)):
        if f"from {chain} import" in snippet or f"import {chain}" in snippet:
            continue
        reduce(getattr, chain.split(".")[1:], au_jax)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("au_jax"):
            module = importlib.import_module(node.module or "")
            for name in node.names:
                assert hasattr(module, name.name) or importlib.util.find_spec(f"{node.module}.{name.name}")
