"""Finding what a folder holds, so that a new file in it is enough."""

import importlib
import pkgutil
from collections.abc import Iterable
from types import ModuleType


def import_modules(package: str, path: Iterable[str]) -> list[ModuleType]:
    """Import all modules of a package, as those that register something.

    Args:
        package: Name of the package, its `__name__`.
        path: Folders of the package, its `__path__`.

    Returns:
        The modules, in the order of their names. Packages within it, and
        names that begin with an underscore, are not among them.
    """
    return [
        importlib.import_module(f"{package}.{found.name}")
        for found in pkgutil.iter_modules(path)
        if not found.ispkg and not found.name.startswith("_")
    ]
