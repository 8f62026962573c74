"""Whatever a field is set to, a start prints its plan or ends with one line that names the field; nothing is trained."""

import random
import re
import signal
import time

import pytest

from au_jax import config as configuration
from au_jax import run as runs
from au_jax.config import fields, load
from au_jax.data.dataset import FaceDataset
from au_jax.data.preparation import prepare
from au_jax.errors import UserError

pytestmark = pytest.mark.optax

TEXTS = (
    "", "a", "x" * 300, "none", "0", "..", "/nowhere/at all", "a\0b", "line\nbreak", "ÄÖ 我", "B",
    "disfa", "folder", "synthfacs", "adamw", "lion", "sgd", "scale_by_adam",
    "warmup_cosine_decay_schedule", "piecewise_interpolate_schedule", "factor=0.5",
    "warmup_steps=5", "b1=0.8", "b1='x'", "**{}", "f(", "demo", "tiny", "device", "host", "momu",
    "bfloat16", "validation", "bp4d_3fold", "features", "1=brow_in", "1=1=1", "out_of_fold",
    "floor", "channel", "f1", "auto",
)  # fmt: skip
INTEGERS = (-(10**30), -1, 0, 1, 2, 3, 7, 12, 16, 40, 64, 1000, 2**31, 2**32, 2**63, 10**30)
FLOATS = (
    -1.0,
    -0.0,
    0.0,
    1e-300,
    0.3,
    0.5,
    0.999,
    1.0,
    1.5,
    64.0,
    1e30,
    1e308,
    float("inf"),
    float("-inf"),
    float("nan"),
)


def scalar(draw: random.Random):
    return draw.choice([draw.choice(TEXTS), draw.choice(INTEGERS), draw.choice(FLOATS), None, True, False])


def value(draw: random.Random, default):
    """Half of the time a value of the field's type, else of any."""
    kind = draw.random()
    if kind < 0.5:
        match default:
            case bool():
                return draw.random() < 0.5
            case int():
                return draw.choice(INTEGERS)
            case float():
                return draw.choice(FLOATS)
            case str():
                return draw.choice(TEXTS)
            case (first, *_):
                return tuple(value(draw, first) for _ in range(draw.randrange(4)))
            case _:
                return tuple(draw.sample((0, 1, 2, -1), draw.randrange(3)))
    if kind < 0.8:
        return scalar(draw)
    many = [scalar(draw) for _ in range(draw.randrange(4))]
    return draw.choice([tuple(many), many, {"name": scalar(draw)}, {}, b"bytes", object()])


def overdue(*_):
    raise TimeoutError("still at work")


class Planned(Exception):
    """The plan has been printed."""


@pytest.fixture
def start(config, tmp_path, monkeypatch):
    """Starts a run up to its plan: a config -> the plan. The smoke run's faces stand for those of any `config.data`."""
    datasets = {}

    def prepared(data):
        if data.aus not in datasets:
            datasets[data.aus] = FaceDataset(prepare(config_of_faces), data.aus)
        return datasets[data.aus]

    def tell(text):
        if text.startswith("plan of"):
            raise Planned(text)

    config_of_faces = configuration.typed(config).data
    monkeypatch.setattr(runs, "_prepared", prepared)
    monkeypatch.setattr("au_jax.console.tell", tell)
    monkeypatch.chdir(tmp_path)
    number = iter(range(10**6))

    def go(changed):
        workdir = tmp_path / f"run_{next(number)}"
        try:
            runs.run(changed, workdir)
        except Planned as plan:
            return str(plan)
        except UserError:
            assert not workdir.exists()
            raise
        raise AssertionError("there was no plan")

    return go


def fuzz(start, directory, count, seed):
    draw = random.Random(seed)
    defaults = {field.name: field.value for field in fields(load("demo:smoke"))}
    names = sorted(defaults)
    signal.signal(signal.SIGALRM, overdue)
    planned = refused = 0
    wrong = []
    begin = time.process_time()
    for number in range(count):
        name = names[number % len(names)]
        config = load("demo:smoke")
        config.data.directory = str(directory)
        config.protocol.folds = 2
        section, _, last = name.rpartition(".")
        place = config
        for part in section.split(".") if section else ():
            place = place[part]
        given = value(draw, defaults[name])
        with place.unlocked(), place.ignore_type():
            place[last] = given
        # What takes longer hangs: sizes that are counted in Python.
        signal.alarm(20)
        try:
            assert start(config).startswith("plan of")
            planned += 1
        except UserError as error:
            refused += 1
            text = str(error)
            # Optimizers are checked as a whole.
            whole = re.sub(r"optimizer\..*", "optimizer", name)
            named = f"config.{name}" in text or f"config.{whole}" in text
            if not named or "\n" in text or len(text) > 3000:
                wrong.append((name, given, text))
        except Exception as error:
            wrong.append((name, given, repr(error)))
        finally:
            signal.alarm(0)
    assert not wrong, "\n".join(map(str, wrong))
    return planned, refused, time.process_time() - begin


def test_a_start_prints_its_plan_or_names_the_field(start, data_directory, dataset):
    planned, refused, _ = fuzz(start, data_directory, 40, seed=1)
    assert planned > 5 and refused > 5


@pytest.mark.slow
def test_six_hundred_starts_print_their_plan_or_name_the_field(start, data_directory, dataset):
    planned, refused, seconds = fuzz(start, data_directory, 600, seed=2)
    print(f"{planned} planned, {refused} refused, {seconds:.1f} s of processor time")
    assert planned > 100 and refused > 100
    assert seconds < 20
