"""The registry: names in the order of the tables, one line for what is wrong with another package's system."""

import subprocess
import sys

import pytest

from au_jax import systems
from au_jax.errors import ConfigError
from au_jax.systems import BUILT_IN, display, get_system, plugin_blocks, system_names
from au_jax.systems.base import System


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Lays a package with one system out on the path: (package, name, target, source of its module)."""
    monkeypatch.syspath_prepend(tmp_path)

    def call(package, name, target, source=""):
        facts = tmp_path / f"{package}-1.0.dist-info"
        facts.mkdir()
        (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (facts / "entry_points.txt").write_text(f"[{systems.ENTRY_POINTS}]\n{name} = {target}\n")
        (tmp_path / f"{target.partition(':')[0]}.py").write_text(source)

    yield call
    get_system.cache_clear()


def test_built_in_systems_look_as_the_registry_says():
    for name, entry in BUILT_IN.items():
        system = get_system(name)
        assert issubclass(system, System) and system.name == name
        assert (system.label, system.colour, system.marker, system.line) == entry.look == display.look(name)


def test_an_unknown_system_is_refused_with_the_choices():
    with pytest.raises(
        ConfigError,
        match="'resnet'; choose among hog_svm, cpm, jpml, anet_transfer, anet, anet_filter, anet_intensity, hybrid",
    ):
        get_system("resnet")


@pytest.mark.parametrize("name", ["anet", "persistence"])
def test_a_name_that_is_taken_is_refused(install, name):
    install("theirs", name, "theirs_taken:Anything")
    with pytest.raises(ConfigError, match=f"package theirs adds a system called {name}, which au_jax has itself"):
        system_names()


def test_two_packages_with_one_name_are_refused(install):
    install("one", "double", "one_double:Anything")
    install("two", "double", "two_double:Anything")
    with pytest.raises(ConfigError, match="adds a system called double, by package (one|two) too; uninstall one"):
        system_names()


def test_a_name_that_no_file_can_have_is_refused(install):
    install("odd", "../up", "odd_name:Anything")
    with pytest.raises(ConfigError, match=r"package odd adds a system called '\.\./up'; names hold small letters"):
        system_names()


@pytest.mark.parametrize(
    ("module", "source", "message"),
    [
        ("broken_import", "import nowhere_at_all", "cannot be loaded .ModuleNotFoundError: No module named 'nowhere"),
        ("broken_class", "", "cannot be loaded .AttributeError"),
        ("broken_kind", "class Anything: name = 'wrong'", "is no class that extends au_jax.systems.base.System"),
        (
            "broken_name",
            "from au_jax.systems.base import System\nclass Anything(System): name = 'other'",
            "is no class that extends .* with name = 'wrong'",
        ),
    ],
)
def test_what_cannot_be_loaded_is_one_line_where_it_is_asked_for(install, module, source, message):
    install("wrong-package", "wrong", f"{module}:Anything", source)
    with pytest.raises(ConfigError, match=f"the system wrong of package wrong-package .*{message}") as raised:
        get_system("wrong")
    assert "\n" not in str(raised.value)
    # Those that are not asked for stand in nobody's way.
    assert system_names()[-1] == "wrong" and plugin_blocks() == {}
    assert display.label("wrong") == "wrong"


def test_display_and_run_folders_are_light():
    program = (
        "import sys, au_jax.systems.display as display; display.look('anet'); print('jax' in sys.modules)\n"
        "import au_jax.run_dir; print({'tensorflow', 'sklearn', 'flax'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\nset()\n"
