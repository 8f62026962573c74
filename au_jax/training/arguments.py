"""Arguments of named functions as text, such as "b1=0.8, nesterov=True": parsed without eval, checked by signature."""

import ast
import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any

from au_jax.errors import UserError


def parse_arguments(text: str, subject: str) -> dict[str, Any]:
    """Keyword arguments written as in a Python call, literals only; "" is none.

    Raises:
      UserError (a ValueError): what is not `name=literal, ...`; the message starts with `subject`.
    """
    form = f'{subject}: cannot read arguments {text!r}; write literals by name, such as "b1=0.8, nesterov=True"'
    try:
        call = ast.parse(f"f({text})", mode="eval").body
    except (SyntaxError, ValueError) as error:
        raise UserError(form) from error
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.args:
        raise UserError(form)
    arguments: dict[str, Any] = {}
    for keyword in call.keywords:
        if keyword.arg is None:
            raise UserError(form)
        try:
            arguments[keyword.arg] = ast.literal_eval(keyword.value)
        except ValueError as error:
            raise UserError(form) from error
    return arguments


def check_arguments(
    function: Callable[..., Any], arguments: Mapping[str, Any], given: Collection[str], subject: str
) -> None:
    """Checks arguments against a function's signature, before it is called.

    Args:
      function: whose keyword arguments they are.
      arguments: from the config.
      given: names that the caller fills in itself; a config cannot set them.
      subject: first words of the messages, such as "optimizer adamw".

    Raises:
      UserError (a ValueError): an unknown name, a value of another type than the default or the annotation shows, a
        required argument that is missing. The message lists the function's arguments.
    """
    parameters = {key: value for key, value in inspect.signature(function).parameters.items() if key not in given}
    choices = ", ".join(parameters) or "none"
    for name, value in arguments.items():
        if name not in parameters:
            raise UserError(f"{subject} has no argument {name!r}; its arguments are: {choices}")
        wanted = _wanted(parameters[name])
        if not _fits(value, wanted):
            raise UserError(f"{subject}: argument {name} is {value!r}, expected {wanted}")
    missing = [
        name
        for name, parameter in parameters.items()
        if parameter.default is inspect.Parameter.empty and name not in arguments
    ]
    if missing:
        raise UserError(f"{subject} needs {', '.join(missing)}; its arguments are: {choices}")


def _wanted(parameter: inspect.Parameter) -> str:
    """What a parameter takes, in words: from its default, and where that is None or absent, from its annotation."""
    default, annotation = parameter.default, str(parameter.annotation)
    if isinstance(default, bool):
        return "True or False"
    if isinstance(default, int | float):
        return "a number"
    if isinstance(default, str):
        return "a string"
    numeric = any(word in annotation for word in ("float", "int'", "jax.Array", "_jax.Array", "numpy.number"))
    structured = any(word in annotation for word in ("ArrayTree", "dict[", "Iterable", "Sequence"))
    if default is None and structured and "Callable" in annotation:
        return "nothing from a config (it takes a function)"
    if default is None:
        return "a number or None" if numeric and not structured else "a literal"
    if default is inspect.Parameter.empty:
        return "a number" if (numeric or "int" in annotation) and not structured else "a literal"
    return "nothing from a config (its default cannot be written as a literal)"


def _fits(value: Any, wanted: str) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    match wanted:
        case "True or False":
            return isinstance(value, bool)
        case "a number":
            return number
        case "a number or None":
            return number or value is None
        case "a string":
            return isinstance(value, str)
        case "a literal":
            return True
        case _:
            return False
