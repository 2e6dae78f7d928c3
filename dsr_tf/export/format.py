"""What a format of models on disk is, to the commands that use it."""

import abc
import dataclasses
import os
from typing import Any

import keras

from dsr_tf.export import target
from dsr_tf.export.runnable import RunnableModel


@dataclasses.dataclass(frozen=True)
class Option:
    """What can be chosen about an export: a flag of `dsr_tf.export`.

    Attributes:
        name: Name of the flag, and in the options of `ExportFormat.write`.
        default: Its default; a boolean makes an on/off flag.
        help: What `--help` says of it.
        accepts: A tuple of the values that the format takes; or another
            kind of flag that `dsr_tf.command_line.define` knows.
    """

    name: str
    default: Any
    help: str
    accepts: Any = None

    def takes(self, value: Any) -> bool:
        return not isinstance(self.accepts, tuple) or value in self.accepts


def values_option(*accepts: str) -> Option:
    """The option `values`, of a format that rounds kernels to these."""
    return Option("values", "float32", "What kernels are rounded to.", accepts)


@dataclasses.dataclass(frozen=True)
class Report:
    """What is told about a model that has been exported.

    Attributes:
        gain: What there is to gain by this form of it.
        stores_zeros: Whether inactive weights take room in the file, so
            that its size says nothing about how well it is packed.
        notes: Pairs of a heading and a text: what else there is to know.
    """

    gain: str
    stores_zeros: bool
    notes: tuple[tuple[str, str], ...] = ()


class Format(abc.ABC):
    """A format whose models can be run.

    Attributes:
        name: Its name in flags.
        title: Its name in tables.
        suffix: What the names of its files end in; "" if it is a folder.
    """

    name: str
    title: str
    suffix: str = ""

    def recognises(self, path: str) -> bool:
        """Whether there is a model of this format at `path`."""
        return os.path.isfile(path) and path.endswith(self.suffix)

    @abc.abstractmethod
    def load(self, flag: str, path: str) -> RunnableModel:
        """Load a model to predict with.

        Args:
            flag: Name of the flag that names it, for messages.
            path: A path that this format `recognises`.

        Raises:
            UsageError: if it cannot be loaded, its runtime is not
                installed, or it has several inputs or outputs.
        """


class ExportFormat(Format):
    """A format that models can be written in, too.

    Attributes:
        options: The `Option`s of `write`.
    """

    options: tuple[Option, ...] = ()

    def check_output(self, path: str) -> None:
        """Check that a model of this format can be written at `path`.

        Raises:
            ValueError: if it cannot.
        """
        target.check_file(path, self.suffix)

    def check_options(self, options: dict[str, Any]) -> None:
        """Refuse options that do not go together, or lack a package.

        Args:
            options: The values of all of this format's options, by name,
                each among those that it takes.

        Raises:
            UsageError: if they do not.
        """

    @abc.abstractmethod
    def write(
        self, model: keras.Model, path: str, options: dict[str, Any]
    ) -> None:
        """Write a model.

        Args:
            model: A built Keras model.
            path: Where; `check_output` has accepted it.
            options: The values of all of this format's options, by name. An
                option `preprocessing` comes as a function from uint8 images
                to the model's inputs, or None.

        Raises:
            ValueError: if the model cannot be written in this format.
            OSError: if the file cannot be written.
        """

    @abc.abstractmethod
    def report(self, model: keras.Model, options: dict[str, Any]) -> Report:
        """What to tell about a model that was written with `options`."""
