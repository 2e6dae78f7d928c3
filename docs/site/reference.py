"""What the pages of the reference are made of: names, and their docstrings.

Docstrings are read as Markdown, and not all that a terminal shows as it is
is shown so on a page.
"""

import importlib
import inspect
import re
from collections.abc import Iterator
from typing import Any

import griffe

# Lines of an interpreter, to the next blank line.
_SESSION = re.compile(r"^>>> .*(?:\n.+)*", re.M)
# A line of its own, as in Keras' docstrings.
_OUTPUT_SHAPE = re.compile(r"(?<!\n)\n(?=Output shape: )")


def as_markdown(text: str) -> str:
    """A docstring whose sessions are blocks of code."""
    text = _SESSION.sub(lambda found: f"```pycon\n{found[0]}\n```", text)
    return _OUTPUT_SHAPE.sub("\n\n", text)


def name_what_is_imported(package: griffe.Module) -> None:
    """Let a name be what a package imports, not a file of the same name.

    `dsr_tf.conversion.sparsify` is the function, as for Python, where the
    import comes after the file.
    """
    packages = list(_packages_of(package))
    # What each name leads to, as long as the files are on the way.
    found = {
        (module, name): member.final_target
        for module in packages
        for name, member in module.members.items()
        if member.is_alias and member.target_path.startswith(package.path)
    }
    hidden = {
        file: file.members[name]
        for module in packages
        for name, file in module.modules.items()
        if module.imports.get(name) == f"{file.path}.{name}"
    }
    for file, thing in hidden.items():
        file.parent.members[file.name] = thing
    for (module, name), target in found.items():
        module.members[name].target = hidden.get(target, target)


def show_classes_made_by_calls(package: griffe.Module) -> None:
    """Let a class that a call has made be a class, and not that call.

    What is read is the source, in which `Adam = made(...)` says neither
    arguments nor docstring; Python knows both.
    """
    for folder in _packages_of(package):
        for module in (folder, *folder.modules.values()):
            for name, member in list(module.members.items()):
                is_attribute = isinstance(member, griffe.Attribute)
                # Importing all modules would take long.
                if not is_attribute or not _is_like_a_class(name):
                    continue
                found = importlib.import_module(module.path)
                made = getattr(found, name, None)
                if isinstance(made, type):
                    module.set_member(name, _shown(made, name, member))


def _is_like_a_class(name: str) -> bool:
    return name[0].isupper() and not name.isupper()


def _shown(made: type, name: str, written: griffe.Attribute) -> griffe.Class:
    """A class as Python knows it, where it is written."""
    shown = griffe.Class(
        name,
        lineno=written.lineno,
        endlineno=written.endlineno,
        docstring=griffe.Docstring(inspect.getdoc(made) or ""),
    )
    parameters = inspect.signature(made.__init__).parameters.values()
    start = griffe.Function(
        "__init__",
        lineno=written.lineno,
        endlineno=written.endlineno,
        parameters=griffe.Parameters(*map(_parameter, parameters)),
    )
    shown.set_member(start.name, start)
    return shown


def _parameter(given: inspect.Parameter) -> griffe.Parameter:
    none = inspect.Parameter.empty
    annotation = default = None
    if given.annotation is not none:
        annotation = inspect.formatannotation(given.annotation)
    if given.default is not none:
        default = repr(given.default)
    kind = griffe.ParameterKind(given.kind.description)
    return griffe.Parameter(
        given.name, annotation=annotation, kind=kind, default=default
    )


def _packages_of(package: griffe.Module) -> Iterator[griffe.Module]:
    """A package, and all below it."""
    yield package
    for module in package.modules.values():
        if module.is_init_module and not module.is_alias:
            yield from _packages_of(module)


class Reference(griffe.Extension):
    """Changes names and docstrings before they become parts of pages."""

    def on_package(self, *, pkg: griffe.Module, **arguments: Any) -> None:
        name_what_is_imported(pkg)
        show_classes_made_by_calls(pkg)

    def on_object(self, *, obj: griffe.Object, **arguments: Any) -> None:
        if obj.docstring:
            obj.docstring.value = as_markdown(obj.docstring.value)
