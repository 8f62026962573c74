"""As many workers as the process may have cores, wherever there are workers."""

import os
import re
import subprocess
import sys
from pathlib import Path

from au_jax.cores import usable_cores

ROOT = Path(__file__).parents[1]


def test_cores_are_those_that_the_process_may_use():
    assert usable_cores() == len(os.sched_getaffinity(0))
    program = (
        "import os\nos.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from au_jax.cores import usable_cores\nprint(usable_cores())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "1"


def test_a_system_without_sets_of_cores_counts_all(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity")
    assert usable_cores() == os.cpu_count()


def test_nobody_counts_the_machines_cores_himself():
    users = [path for path in (ROOT / "au_jax").rglob("*.py") if re.search(r"\bcpu_count\(", path.read_text())]
    assert users == [ROOT / "au_jax" / "cores.py"]
