"""Every field of a config with its value and its meaning: the comments of configs/base.py, read from the file itself."""

import ast
import importlib.util
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from au_jax.config import Config
from configs import base

ROOT = "config"
"""The name of the whole config in configs/base.py."""

# A section that is a copy of another's fields.
_COPIES = {"anet_transfer": "hog_svm"}


@dataclass(frozen=True)
class Field:
    """A field as the command line names it, such as "cnn.epochs"; `default` is that of configs/base.py."""

    name: str
    value: Any
    default: Any
    meaning: str

    @property
    def changed(self) -> bool:
        """Whether the value is another than that of configs/base.py; a config that was read from JSON has lists for tuples."""
        value, default = (list(one) if isinstance(one, tuple) else one for one in (self.value, self.default))
        return value != default


def fields(config: Config) -> Iterator[Field]:
    """The fields of a config in the order of configs/base.py."""
    told, defaults = meanings(), dict(_leaves(base.get_config()))
    order = {name: number for number, name in enumerate(told)}
    for name, value in sorted(_leaves(config), key=lambda leaf: order.get(_commented(told, leaf[0]), len(order))):
        yield Field(name, value, defaults.get(name), told.get(_commented(told, name), ""))


def describe(config: Config) -> str:
    """The fields as text: the meaning, once for neighbours that share it, then each with its value."""
    lines, last = [], None
    for field in fields(config):
        if field.meaning != last:
            lines += ["", *textwrap.wrap(field.meaning, 110, initial_indent="# ", subsequent_indent="# ")]
            last = field.meaning
        changed = f"    (configs/base.py: {field.default!r})" if field.changed else ""
        lines.append(f"--config.{field.name}={field.value!r}{changed}")
    return "\n".join(lines).strip()


def meanings() -> dict[str, str]:
    """Field or section of configs/base.py -> its comment; what follows a commented line without a gap shares its comment."""
    spec = importlib.util.find_spec(base.__name__)
    assert spec is not None and spec.origin is not None
    source = Path(spec.origin).read_text("utf-8")
    lines, places, found = source.splitlines(), {ROOT: ""}, {}
    function = next(node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef))
    comment = ""
    for node in function.body:
        if not isinstance(node, ast.Assign):
            continue
        own = _comment_above(lines, node.lineno - 1)
        if own or not lines[node.lineno - 2].strip():
            comment = own
        # The last target of `config.data = data = ConfigDict()` is the section's short name.
        names = [_dotted(target) for target in node.targets]
        path = next((name for name in names if "." in name), None)
        if path is None:
            continue
        first, _, rest = path.partition(".")
        path = f"{places[first]}{rest}"
        found[path] = comment
        places |= {name: f"{path}." for name in names if "." not in name}
        if path in _COPIES:
            for name, meaning in list(found.items()):
                if name.startswith(f"{_COPIES[path]}."):
                    found[path + name.removeprefix(_COPIES[path])] = meaning
    return found


def _comment_above(lines: list[str], index: int) -> str:
    start = index
    while lines[start - 1].strip().startswith("#"):
        start -= 1
    return " ".join(line.strip().removeprefix("#").strip() for line in lines[start:index])


def _dotted(node: ast.expr) -> str:
    return f"{_dotted(node.value)}.{node.attr}" if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _commented(told: Mapping[str, str], name: str) -> str:
    """The field itself or the block that it belongs to: momentum and weight decay of caffe_sgd share a comment."""
    while name and not told.get(name):
        name = name.rpartition(".")[0]
    return name


def _leaves(tree: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, item in tree.items():
        if isinstance(item, Mapping) or hasattr(item, "items"):
            yield from _leaves(item, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", item
