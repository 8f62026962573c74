"""Every command and snippet of the README fits the code: its flags and config fields are parsed, its names exist."""

import ast
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
from au_jax import command_line

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
# Blocks of lines that are indented by four.
BLOCKS = ["\n".join(line[4:] for line in block.splitlines()) for block in re.findall(r"(?:^    .*\n)+", README, re.M)]
SHELL = [block.replace("\\\n", " ") for block in BLOCKS if not block.startswith("import ")]
PYTHON = [block for block in BLOCKS if block.startswith("import ")]


def commands(text):
    """The words behind every `python -m`, of a line or in a text that is one of its words, as an array job's command."""
    words = shlex.split(text, comments=True)
    for place, word in enumerate(words):
        if " -m " in word:
            yield from commands(word.partition("=")[2])
        elif word == "-m":
            found = list(itertools.takewhile(lambda word: word not in "&;", words[place + 1 :]))
            # What a shell loop or an array job puts in.
            yield tuple(re.sub(r"\$\w+", "0", word) for word in found)


COMMANDS = sorted({command for block in SHELL for line in block.splitlines() for command in commands(line)})


def test_the_readme_has_commands_and_snippets():
    assert len(COMMANDS) > 20 and len(PYTHON) >= 2


@pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_of_the_readme_is_understood(command, monkeypatch):
    module, *options = command
    understood = []

    def parse(*_, **__):
        command_line._parse_flags(sys.argv)
        flags.FLAGS.validate_all_flags()
        understood.append(module)

    monkeypatch.setattr(command_line, "run_command", parse)
    # The benchmark's, which does without TensorFlow.
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


@pytest.mark.parametrize("target", sorted(set(re.findall(r"make (\w+)", README)) - {"the"}))
def test_a_target_of_the_readme_is_in_the_makefile(target):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.M)


@pytest.mark.parametrize("snippet", PYTHON)
def test_names_of_a_snippet_exist(snippet):
    chains = re.findall(r"au_jax(?:\.\w+)+", ast.unparse(ast.parse(snippet)))
    assert chains
    for chain in chains:
        reduce(getattr, chain.split(".")[1:], au_jax)


@pytest.mark.parametrize("path", sorted(set(re.findall(r"(?:configs|experiments|tests|docs)/[\w/]+\.\w+", README))))
def test_a_file_of_the_readme_is_there(path):
    assert (ROOT / path).exists()
