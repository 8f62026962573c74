"""The documentation fits the code: links lead somewhere, fields, flags, files and names exist, and the site is built."""

import ast
import importlib.util
import os
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
TEXTS = {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in [*PAGES, ROOT / "README.md"]}
OTHERS = {name: (ROOT / name).read_text("utf-8") for name in ("CONTRIBUTING.md", "CHANGELOG.md", "findings/README.md")}
SECTIONS = "data|transfer|protocol|cnn|lstm|fusion|hog_svm|anet_transfer|cpm|jpml|evaluation"

OLD_FIELDS = {"cnn.compute", "lstm.passes", "lstm.updates_per_pass"}
"""Of older versions: the page of renamed fields names them."""

FOREIGN_FLAGS = {"array", "cpus-per-task", "gpus", "help", "verbosity", "max_length"}
"""Of Slurm and of absl."""

OWN_WORDS = ("to be had", "at hand", "in the box", "judge of", "hangs on", "rooms?", "notes section", "carry on")
"""Of the project's earlier dialect: plainer words say the same."""

SPEC = importlib.util.spec_from_file_location("generated", ROOT / "docs" / "generated.py")
assert SPEC is not None and SPEC.loader is not None
generated = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(generated)


@pytest.fixture(scope="module")
def fields():
    """Names of all config fields; "pixels" is the section of an example."""
    return {field.name for field in generated.config_fields()}


@pytest.fixture(scope="module")
def flags():
    """Command -> names of its flags."""
    return {module: [flag[0] for flag in generated.flags_of(module)] for module in generated.COMMANDS.values()}


def without_code(text):
    """A page without its blocks of code."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)


def inline_code(text):
    """What stands between single backquotes."""
    return re.findall(r"`([^`\n]+)`", without_code(text))


def anchors(text):
    """The anchors that a page's headings get."""
    headings = re.findall(r"^#+ (.+)$", without_code(text), re.M)
    return {re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in headings}


@pytest.mark.parametrize("name", [*TEXTS, *OTHERS])
def test_links_of_a_page_lead_to_files_and_headings(name):
    text = {**TEXTS, **OTHERS}[name]
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(text)):
        if target.startswith(("https://", "#")):
            assert target.startswith("https://") or target[1:] in anchors(text), target
            continue
        path, _, anchor = target.partition("#")
        place = (ROOT / name).parent / path
        assert place.exists(), target
        if anchor:
            assert anchor in anchors(place.read_text("utf-8")), target


def test_every_page_stands_in_the_navigation():
    navigation = (ROOT / "mkdocs.yml").read_text().partition("\nnav:")[2]
    assert sorted(re.findall(r"[\w/-]+\.md", navigation)) == sorted(
        str(path.relative_to(ROOT / "docs")) for path in PAGES
    )


def test_every_field_is_on_the_page_of_fields_with_its_meaning(fields):
    assert "{{ config-fields }}" in TEXTS["docs/reference/config.md"]
    rows = re.findall(r"^\| `([\w.]+)` \| `.*` \| (.*) \| .* \|$", generated.config_table(), re.M)
    assert {name for name, _ in rows} == fields and len(fields) > 100
    assert [name for name, meaning in rows if not meaning.strip()] == []


def test_short_answers_come_first_in_the_search_and_docstrings_last():
    def boost(name):
        page = types.SimpleNamespace(file=types.SimpleNamespace(src_uri=name), meta={})
        generated.on_page_markdown("", page=page)
        return page.meta.get("search", {}).get("boost", 1.0)

    assert boost("questions.md") > boost("how-to/tune.md") > boost("reference/api.md")
    assert {path for path in generated.SEARCH_BOOST if not (ROOT / "docs" / path).exists()} == set()


@pytest.mark.parametrize("name", [*TEXTS, "CONTRIBUTING.md", "CHANGELOG.md"])
def test_a_page_speaks_the_words_of_the_field(name):
    text = without_code({**TEXTS, **OTHERS}[name]).lower()
    assert [phrase for phrase in OWN_WORDS if re.search(rf"\b{phrase}\b", text)] == []


def test_a_docstring_that_names_value_error_is_not_of_a_function_that_raises_user_errors():
    ours = {"UserError", "ConfigError", "DataError", "CommandError"}
    wrong = []
    for path in [*(ROOT / "au_jax").rglob("*.py"), *(ROOT / "experiments").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.FunctionDef) or "ValueError:" not in (ast.get_docstring(node) or ""):
                continue
            raised = [each.exc for each in ast.walk(node) if isinstance(each, ast.Raise) and each.exc]
            names = {ast.unparse(exc.func if isinstance(exc, ast.Call) else exc) for exc in raised}
            if names & ours and "ValueError" not in names:
                wrong.append(f"{path.relative_to(ROOT)}: {node.name}")
    assert wrong == []


def test_every_picture_is_shown_and_small():
    for path in (ROOT / "docs" / "images").iterdir():
        assert any(f"images/{path.name})" in text for text in TEXTS.values()), path.name
        assert path.stat().st_size < 200_000, path.name


@pytest.mark.parametrize("module", generated.COMMANDS.values())
def test_every_flag_of_a_command_is_on_the_page_of_commands(module, flags):
    page = generated.on_page_markdown(TEXTS["docs/reference/commands.md"])
    assert flags[module], "the command has no flags"
    for flag in flags[module]:
        assert f"| `--{flag}` |" in page


@pytest.mark.parametrize("name", TEXTS)
def test_fields_that_a_page_names_exist(name, fields):
    text = TEXTS[name]
    named = set(re.findall(r"--config\.([a-z][\w.]*\w)", text))
    for code in inline_code(text):
        if match := re.fullmatch(rf"(?:config\.)?((?:{SECTIONS})\.[a-z][\w.]*\w)(?:=.*)?", code):
            named.add(match[1])
    # A section, such as cnn.optimizer, is a name as well.
    known = {*fields, *(".".join(field.split(".")[:end]) for field in fields for end in (1, 2, 3))}
    assert {field for field in named if not field.startswith("pixels")} - known - OLD_FIELDS == set()


@pytest.mark.parametrize("name", TEXTS)
def test_flags_that_a_page_names_in_a_sentence_exist(name, flags):
    programs = ([flag[0] for flag in generated.flags_of(module)] for module in generated.PROGRAMS)
    known = {"full", "quick", *FOREIGN_FLAGS}.union(*flags.values(), *programs)
    found = [re.match(r"--([a-z][\w-]*)(?![\w.-])", code) for code in inline_code(TEXTS[name])]
    assert {match[1] for match in found if match and not match.string.startswith("--config.")} - known == set()


@pytest.mark.parametrize("name", TEXTS)
def test_files_that_a_page_names_exist(name):
    for path in re.findall(r"\b(?:au_jax|configs|experiments|tests)/[\w/]*\w(?:\.\w+)?", without_code(TEXTS[name])):
        # The files that a page tells to write do not exist.
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("name", TEXTS)
def test_names_that_a_page_places_in_a_file_are_there(name):
    for names, path in re.findall(r"((?:`\w+`(?:, | and )?)+) (?:of the CNN )?in `(au_jax/[\w/]+\.py)`", TEXTS[name]):
        source = (ROOT / path).read_text("utf-8")
        for one in re.findall(r"`(\w+)`", names):
            assert re.search(rf"\b{one}\b", source), f"{one} in {path}"


def test_the_lines_on_the_page_of_errors_are_those_of_the_code():
    source = "".join(path.read_text("utf-8") for path in (ROOT / "au_jax").rglob("*.py"))
    # A message of several lines is written as several strings.
    source = re.sub(r'"\s*\n\s*f?"', "", source)
    missing = []
    for line in re.findall(r"^\| `([^`]+)` ", TEXTS["docs/reference/errors.md"], re.M):
        # What stands for a name, a number or a value; the system's own message; the names of exceptions.
        if line.startswith(("au_jax.errors.", "No space left", "flag --")):
            continue
        parts = re.split(r"\.\.\.|<[^>]+>|\d+|config\.\S+|--config\S*|bp4d_3fold|\bdevice\b|\b[nm] of m\b", line)
        missing += [part for part in map(str.strip, parts) if len(part) > 10 and part not in source]
    assert missing == []


def test_the_citation_file_names_software_and_paper():
    content = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert content["cff-version"] == "1.2.0" and {"message", "title", "authors", "version"} <= set(content)
    assert content["authors"] == [{"name": "The au_jax authors"}]
    (paper,) = content["references"]
    assert paper["year"] == 2017 and [author["family-names"] for author in paper["authors"]][0] == "Chu"


def test_version_of_citation_changelog_and_package_agree():
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.M)
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))["version"]
    newest, before = re.findall(r"^## (\S+)(?: \((unreleased)\))?", OTHERS["CHANGELOG.md"], re.M)[:2]
    assert version and cited == newest[0]
    assert version[1] == newest[0] or (newest[1] and version[1] == before[0])


@pytest.mark.slow
def test_the_site_is_built_without_a_warning(tmp_path):
    pytest.importorskip("mkdocs", reason="mkdocs is not installed: pip install -r requirements-docs.txt")
    pytest.importorskip("mkdocstrings_handlers", reason="mkdocstrings is not installed: see requirements-docs.txt")
    # As from a shell, without what conftest.py sets.
    plain = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS" and not name.startswith("TF_")}
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", tmp_path],
        cwd=ROOT, capture_output=True, text=True,
        env={**plain, "PYTHONPATH": str(ROOT), "NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    pages = {path.relative_to(ROOT / "docs").with_suffix(".html") for path in PAGES}
    assert {path for path in pages if not (tmp_path / path).exists()} == set()
    built = "".join(path.read_text("utf-8") for path in tmp_path.rglob("*.html"))
    assert "{{" not in re.sub(r"<code.*?</code>", "", built, flags=re.S)
    # No page fetches anything from elsewhere.
    assert re.findall(r'(?:src|<link[^>]*href)="https?://[^"]+', built) == []
    interface = (tmp_path / "reference" / "api.html").read_text("utf-8")
    for name in ("Detector.from_run", "Detections.columns", "load_run", "FoldContext.seed", "RawReader.find"):
        assert f".{name}" in interface
