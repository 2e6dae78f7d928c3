"""All formats of models on disk, found by their files."""

import dataclasses
import itertools
import os
from collections.abc import Iterable
from typing import Any

from dsr_tf.command_line import UsageError
from dsr_tf.core import discovery
from dsr_tf.export import digest
from dsr_tf.export import formats as files
from dsr_tf.export.format import ExportFormat
from dsr_tf.export.format import Format
from dsr_tf.export.format import Option
from dsr_tf.export.runnable import RunnableModel
from dsr_tf.export.runnable import loading

# What is written unless a user says otherwise.
DEFAULT = "saved_model"


def formats() -> list[Format]:
    """The `FORMAT` of each file in `formats/`: the default, then by name.

    Raises:
        ValueError: if two of them have one name.
    """
    found = [
        module.FORMAT
        for module in discovery.import_modules(files.__name__, files.__path__)
    ]
    found.sort(key=lambda f: (f.name != DEFAULT, f.name))
    for first, second in itertools.pairwise(found):
        if first.name == second.name:
            raise ValueError(
                "A format must have a name of its own. Received: "
                f"{first.name!r} from {type(first).__module__} and "
                f"{type(second).__module__}"
            )
    return found


def exported() -> dict[str, ExportFormat]:
    """The formats that models can be written in, by name."""
    return {f.name: f for f in formats() if isinstance(f, ExportFormat)}


def format_of(path: str) -> Format | None:
    """The format of what is at a path, None if it is none."""
    return next((f for f in formats() if f.recognises(path)), None)


def find(path: str, flag: str = "model") -> str:
    """The model that a path names: itself, or that of the folder of a run.

    Args:
        path: File or folder.
        flag: Name of the flag that names it, for messages.

    Raises:
        UsageError: if there is none.
    """
    inside = os.path.join(path, DEFAULT)
    if os.path.isdir(inside):
        path = inside
    _required_format(flag, path)
    return path


def load(flag: str, path: str) -> RunnableModel:
    """Load a model of any format.

    Args:
        flag: Name of the flag that names it, for messages.
        path: File or folder, see `find`.

    Raises:
        UsageError: if it is of no format, cannot be loaded, is not as it
            was written (where there are digests, see
            `dsr_tf.export.digest`), its runtime is not installed, or it has
            several inputs or outputs.
    """
    with loading(flag, path):
        digest.check(path)
    return _required_format(flag, path).load(flag, path)


def _required_format(flag: str, path: str) -> Format:
    format = format_of(path)
    if format is None:
        raise UsageError(
            f"flag --{flag}={path}: must be {in_words(formats(), 'a ')}, or "
            "the folder of a finished run"
        )
    return format


def options() -> dict[str, Option]:
    """The options of all formats together, by name.

    An option that several formats have takes all values that any of them
    takes.

    Raises:
        ValueError: if formats differ in more than the values they take.
    """
    found: dict[str, Option] = {}
    for format in exported().values():
        for option in format.options:
            found[option.name] = _merged(found.get(option.name), option)
    return found


def _merged(first: Option | None, second: Option) -> Option:
    if first is None or first == second:
        return second
    accepts = first.accepts, second.accepts
    if all(isinstance(values, tuple) for values in accepts):
        values = tuple(dict.fromkeys(first.accepts + second.accepts))
        first, second = (
            dataclasses.replace(option, accepts=values)
            for option in (first, second)
        )
    if first != second:
        raise ValueError(
            "Formats with an option of the same name must have the same "
            f"default and help for it. Received: {first} and {second}"
        )
    return first


def chosen_options(
    format: ExportFormat, values: dict[str, Any]
) -> dict[str, Any]:
    """The values of a format's own options.

    Args:
        format: The format.
        values: The values of the options of all formats, by name.

    Raises:
        UsageError: if the format does not take one of them.
    """
    own = {option.name: option for option in format.options}
    for name, option in options().items():
        value, given = values[name], f"flag --{name}={values[name]}"
        if name not in own and value != option.default:
            takers = [
                other.name
                for other in exported().values()
                if name in [option.name for option in other.options]
            ]
            raise UsageError(
                f"{given}: is for --format={' and '.join(takers)} only, not "
                f"for --format={format.name}"
            )
        if name in own and not own[name].takes(value):
            raise UsageError(
                f"{given}: must be {_one_of(own[name].accepts)} for "
                f"--format={format.name}"
            )
    chosen = {name: values[name] for name in own}
    format.check_options(chosen)
    return chosen


def _one_of(values: tuple[str, ...]) -> str:
    return f"{'one of ' * (len(values) > 1)}{', '.join(values)}"


def in_words(formats: Iterable[Format], article: str = "") -> str:
    """Such as "a SavedModel, a .keras, .tflite or .onnx file"."""
    formats = list(formats)
    words = [f"{article}{f.title}" for f in formats if not f.suffix]
    suffixes = [f.suffix for f in formats if f.suffix]
    if suffixes:
        *others, last = suffixes
        either = f"{', '.join(others)} or {last}" if others else last
        words.append(f"{article}{either} file")
    return ", ".join(words)
