"""A method and a model register themselves, and nobody asks their names."""

import ast
import dataclasses
import pathlib
import sys
import types

import pytest

import dsr_tf
from dsr_tf import methods
from dsr_tf import models
from dsr_tf import recipes
from dsr_tf.core import discovery
from dsr_tf.models import registry as models_registry
from dsr_tf.recipes import registry
from dsr_tf.training.settings import Settings

PACKAGE = pathlib.Path(dsr_tf.__file__).parent


def test_the_methods_that_there_are():
    """In the order in which --help lists them."""
    assert recipes.names() == (
        *("dense", "thin", "hashed", "static", "set", "deep_r", "rigl"),
        *("snfs", "dsr", "adaptive", "gradual", "rnn_pruning"),
        *("std_threshold", "deep_compression", "nest", "brain_damage"),
        *("l1_filters", "lasso", "pfa", "slimming", "ssl", "sss", "thinet"),
    )
    for name in recipes.names():
        assert recipes.get(name).name == name


def test_every_method_of_reallocation_has_a_recipe():
    public = {
        method
        for method in vars(methods).values()
        if isinstance(method, type) and issubclass(method, methods.Method)
    } - {methods.Method}
    assert set(methods.METHODS.values()) == public
    for method in public:
        recipe = recipes.get(method.flag_name)
        assert recipe.method is method and recipe.has_masks


def test_every_file_of_a_recipe_registers_one():
    files = {path.stem for path in (PACKAGE / "recipes").glob("*.py")}
    of_no_method = {"__init__", "recipe", "registry", "network"}
    of_no_method |= {"budget", "narrowing", "thresholds", "bits"}
    of_no_method |= {"pruning_hparams"}
    found = {type(recipes.get(name)).__module__ for name in recipes.names()}
    assert found == {f"dsr_tf.recipes.{name}" for name in files - of_no_method}


def test_what_recipes_say_of_themselves():
    def those(what):
        return {n for n in recipes.names() if what(recipes.get(n))}

    every = set(recipes.names())
    assert those(lambda r: r.is_reference) == {"dense"}
    given = {f.name: f.default for f in dataclasses.fields(Settings)}
    experiment = types.SimpleNamespace(**given)
    # Of some the first phase, without --initial_checkpoint.
    penalizing = {"slimming", "ssl", "sss", "brain_damage"}
    # By thresholds, not as many as a sparsity says.
    thresholds = {"rnn_pruning", "std_threshold"}
    without = {"dense", "deep_compression"} | penalizing | thresholds
    assert those(lambda r: r.has_density(experiment)) == every - without
    narrowing = those(lambda r: r.has_phases)
    looking = {"thinet", "lasso", "pfa"}
    assert narrowing == {"l1_filters"} | penalizing | looking
    without = {"dense", "thin", "hashed", "deep_compression"} | narrowing
    assert those(lambda r: r.has_masks) == every - without


def test_nobody_asks_for_the_name_of_a_method():
    """But for the default of the flag; `--dense` of `export` is no method."""
    for package in ("training", "comparison", "commands"):
        for path in (PACKAGE / package).glob("*.py"):
            known = set(recipes.names())
            if path.name == "settings.py":
                known.remove("dsr")
            if path.name == "export.py":
                known.remove("dense")
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Constant):
                    assert node.value not in known, (path, node.lineno)


def test_names_are_there_once(monkeypatch):
    with pytest.raises(ValueError, match="name of its own. Received: 'dsr'"):
        registry.register(recipes.get("dsr"))
    with pytest.raises(ValueError, match="`method` must be one of dense, "):
        recipes.get("x")
    with pytest.raises(ValueError, match="Received: name='resnet50'"):
        models.register("resnet50")(models.resnet50)
    with pytest.raises(TypeError, match="without l1, width"):
        models.register("x")(lambda input_shape, num_classes: None)
    assert list(models.MODELS) == [
        *("lenet_300_100", "wrn_28_2", "resnet50"),
        *("lenet_5", "resnet_cifar", "vgg_cifar", "conv_mixer"),
        *("mlp", "lstm_rows", "mobilenet", "vit"),
    ]


def test_a_new_file_in_a_folder_is_found(tmp_path, monkeypatch):
    """Here in another package; `test_new_files` runs what it registers."""
    monkeypatch.setattr(registry, "_RECIPES", dict(registry._RECIPES))
    monkeypatch.syspath_prepend(tmp_path)
    folder = tmp_path / "more_recipes"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "_part.py").write_text("raise RuntimeError")
    (folder / "half.py").write_text(
        "from dsr_tf.recipes import Recipe, register\n"
        "class Half(Recipe):\n"
        "    name = 'half'\n"
        "    def width(self, experiment, network):\n"
        "        return experiment.width / 2\n"
        "register(Half())\n"
    )
    package = __import__("more_recipes")
    (module,) = discovery.import_modules(package.__name__, package.__path__)
    assert recipes.get("half").__class__ is module.Half
    # After those that have a place, by name.
    others = recipes.names()[recipes.names().index("nest") + 1 :]
    assert "half" in others and list(others) == sorted(others)
    for name in ("more_recipes", "more_recipes.half"):
        sys.modules.pop(name)


def test_a_network_gets_the_flags_that_it_takes():
    class Settings:
        l1, width, batch_normalization, seed = 0.5, 2.0, False, 3
        initial_gamma = None  # Not given: the network's own.

    assert models_registry.arguments("lenet_300_100", Settings) == {
        "l1": 0.5,
        "width": 2.0,
        "batch_normalization": False,
    }
    assert models_registry.arguments("wrn_28_2", Settings) == {
        "l1": 0.5,
        "width": 2.0,
    }
