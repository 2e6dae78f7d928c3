"""What users import says the types of its parameters and results."""

import importlib
import inspect
import pkgutil
import types

import pytest

import dsr_tf

# Parts of the package that are not annotated as yet, as in pyproject.toml.
NOT_YET = {
    "commands",
    "comparison",
    "conversion",
    "data",
    "export",
    "models",
    "recipes",
    "training",
}

# Beside names without an underscore.
SPECIAL = {"__init__", "__call__"}


def part_of(module_name):
    """`layers` of `dsr_tf.layers.masked`, empty for `dsr_tf` itself."""
    return f"{module_name}.".split(".")[1]


def is_ours(thing):
    return str(getattr(thing, "__module__", "")).split(".")[0] == "dsr_tf"


def public_modules():
    """All modules but those of parts that are not annotated as yet."""
    yield dsr_tf
    for found in pkgutil.walk_packages(dsr_tf.__path__, "dsr_tf."):
        if part_of(found.name) in NOT_YET or found.name.endswith("__main__"):
            continue
        yield importlib.import_module(found.name)


def public_things():
    """Functions and classes by where they are found: what stands in a
    module, and what a public package shows."""
    for module in public_modules():
        for name, thing in vars(module).items():
            is_own = getattr(thing, "__module__", None) == module.__name__
            is_shown = name in getattr(module, "__all__", ())
            if name.startswith("_") or not (is_own or is_shown):
                continue
            if isinstance(thing, (type, types.FunctionType)):
                if part_of(thing.__module__) not in NOT_YET:
                    yield f"{module.__name__}.{name}", thing


def functions_of(thing):
    """A function itself; of a class its methods and properties, also those
    that it has from other classes of the package."""
    if not isinstance(thing, type):
        yield "", thing
        return
    for kind in filter(is_ours, thing.__mro__):
        for name, member in vars(kind).items():
            if name.startswith("_") and name not in SPECIAL:
                continue
            if isinstance(member, property):
                if member.fget is not None:
                    yield f".{name}", member.fget
                if member.fset is not None:
                    yield f".{name}", member.fset
                continue
            if isinstance(member, (classmethod, staticmethod)):
                member = member.__func__
            if isinstance(member, types.FunctionType):
                yield f".{name}", member


def missing_in(function, is_method):
    """What of a function has no annotation."""
    signature = inspect.signature(function)
    parameters = list(signature.parameters.values())
    if is_method and parameters and parameters[0].name in ("self", "cls"):
        parameters = parameters[1:]
    for parameter in parameters:
        if parameter.annotation is inspect.Parameter.empty:
            yield parameter.name
    if signature.return_annotation is inspect.Signature.empty:
        yield "return"


def missing():
    """Names of all that has no annotation."""
    for path, thing in public_things():
        for name, function in functions_of(thing):
            for what in missing_in(function, is_method=bool(name)):
                yield f"{path}{name}: {what}"


def test_public_functions_and_methods_are_annotated():
    assert sorted(set(missing())) == []


def test_what_users_import_is_looked_at():
    seen = {path for path, _ in public_things()}
    for name in dsr_tf.__all__:
        shown = getattr(dsr_tf, name)
        if isinstance(shown, types.ModuleType):
            names = []
            if name not in NOT_YET:
                names = [
                    f"{name}.{inner}"
                    for inner in getattr(shown, "__all__", ())
                    if callable(getattr(shown, inner))
                ]
        else:
            names = [name] if part_of(shown.__module__) not in NOT_YET else []
        assert {f"dsr_tf.{n}" for n in names} <= seen


def test_no_part_is_waited_for_that_is_not_there():
    parts = {found.name for found in pkgutil.iter_modules(dsr_tf.__path__)}
    assert NOT_YET <= parts


class _Example:
    def __init__(self, first: int, second) -> None:
        """One parameter without."""

    @property
    def third(self):
        """No result."""

    @classmethod
    def fourth(cls, *, fifth: int = 0):
        """No result either."""

    def sixth(self, *seventh: int, **eighth: int) -> None:
        """Nothing is missing."""


@pytest.mark.parametrize(
    "name, expected",
    [
        ("__init__", ["second"]),
        ("third", ["return"]),
        ("fourth", ["return"]),
        ("sixth", []),
    ],
)
def test_it_sees_what_is_missing(name, expected, monkeypatch):
    monkeypatch.setattr(_Example, "__module__", "dsr_tf.example")
    functions = dict(functions_of(_Example))
    assert list(missing_in(functions[f".{name}"], True)) == expected
