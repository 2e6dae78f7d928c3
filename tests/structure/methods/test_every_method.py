"""Each file here is a function, a name of `dsr_tf.structure`, a `--method`."""

import importlib
import inspect
import pathlib

import pytest

from dsr_tf import recipes
from dsr_tf import structure
from dsr_tf.structure import methods

NAMES = sorted(
    path.stem
    for path in pathlib.Path(methods.__file__).parent.glob("*.py")
    if path.stem != "__init__"
)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_known_by_its_name(name):
    module = importlib.import_module(f"{methods.__name__}.{name}")
    method = getattr(structure, name)
    assert method is getattr(module, name) and name in structure.__all__
    arguments = list(inspect.signature(method).parameters)
    assert arguments[0] == "model"
    assert {"share", "parameters", "macs", "filters"} < set(arguments)
    recipe = recipes.get(name)
    assert recipe.has_phases and not recipe.has_masks
