"""What the commands import: who predicts, exports or compares waits for no library of training."""

import json
import os
import subprocess
import sys

import pytest
from PIL import Image

TRAINING = {"tensorflow", "tensorflow_datasets", "keras", "sklearn", "orbax", "tensorstore", "optax"}
PROGRAM = (
    "import atexit, importlib, json, sys\n"
    "where, name, *options = sys.argv[1:]\n"
    "atexit.register(lambda: open(where, 'w').write(json.dumps(sorted(sys.modules))))\n"
    "sys.argv = [name, *options]\n"
    "importlib.import_module(f'au_jax.{name}').main()"
)


@pytest.fixture(scope="module")
def modules(finished, shared, tmp_path_factory):
    """Command -> the modules of a process that did its work, and nothing else."""
    pytest.importorskip("dlib")
    folder = tmp_path_factory.mktemp("imports")
    (folder / "clip").mkdir()
    Image.new("RGB", (64, 48)).save(folder / "clip" / "1.png")
    for coder in "ab":
        (folder / f"{coder}.csv").write_text("frame,AU12\n1,1\n2,0\n3,1\n")
    options = {
        "predict": (f"--run={finished}", f"--video={folder / 'clip'}", f"--out={folder / 'aus.csv'}"),
        "export": (f"--run={finished}", f"--out={folder / 'detector.zip'}"),
        "compare": (f"--runs={finished},{finished}", "--systems=anet,hybrid", f"--out={folder / 'compared'}"),
        "agreement": (f"--first={folder / 'a.csv'}", f"--second={folder / 'b.csv'}", f"--out={folder / 'agreement'}"),
    }
    started = {
        name: subprocess.Popen(
            [sys.executable, "-c", PROGRAM, folder / f"{name}.json", name, *options[name]],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
        for name in options
    }
    for name, process in started.items():
        told, _ = process.communicate()
        assert process.returncode == 0, (name, told)
    return {name: set(json.loads((folder / f"{name}.json").read_text())) for name in started}


@pytest.mark.parametrize("command", ["predict", "export", "compare", "agreement"])
def test_a_command_imports_nothing_that_only_training_needs(modules, command):
    assert not TRAINING & modules[command]


def test_predict_draws_nothing_and_agreement_computes_no_network(modules):
    assert not {"matplotlib", "scipy"} & modules["predict"]
    assert not {"jax", "flax"} & (modules["agreement"] | modules["compare"])
