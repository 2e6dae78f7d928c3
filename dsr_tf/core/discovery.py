"""Files of a package are found, so that what they register is known.

A new method, layer kind, model, format or recipe is one file in its folder,
and no list anywhere names it.
"""

import importlib
import pkgutil


def import_files(package_name, package_path):
    """Import every module of a package, in the order of their names.

    Args:
        package_name: `__name__` of the package.
        package_path: Its `__path__`.
    """
    for module in sorted(pkgutil.iter_modules(package_path)):
        importlib.import_module(f"{package_name}.{module.name}")
