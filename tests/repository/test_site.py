"""What the site of docs/ shows. That it is built without a warning, with all
links, is one of the checks of CONTRIBUTING.md."""

import collections
import functools
import importlib.util
import inspect
import json
import re
import types

import griffe
import pytest

import dsr_tf
from tests.repository.documents import ROOT


def load(name):
    """A module of docs/site/."""
    spec = importlib.util.spec_from_file_location(
        name, ROOT / "docs" / "site" / f"{name}.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def public_names():
    for name in dsr_tf.__all__:
        shown = getattr(dsr_tf, name)
        if not isinstance(shown, types.ModuleType):
            yield f"dsr_tf.{name}"
        elif hasattr(shown, "__all__"):
            yield from (f"dsr_tf.{name}.{inner}" for inner in shown.__all__)
        else:
            for inner, thing in vars(shown).items():
                is_own = getattr(thing, "__module__", None) == shown.__name__
                if is_own and not inner.startswith("_"):
                    yield f"dsr_tf.{name}.{inner}"


def test_each_public_name_is_in_the_reference_once():
    pages = [path.read_text() for path in ROOT.glob("docs/api/*.md")]
    shown = re.findall(r"^::: (\S+)$", "\n".join(pages), re.M)
    assert collections.Counter(shown) == collections.Counter(public_names())


@pytest.mark.parametrize(
    "docstring, expected",
    [
        ("A layer.\n\nMore.", "A layer.\n\nMore."),
        (
            "Example:\n\n>>> a = 1\n>>> a\n1\n\nMore:\n\n>>> b",
            "Example:\n\n```pycon\n>>> a = 1\n>>> a\n1\n```\n\n"
            "More:\n\n```pycon\n>>> b\n```",
        ),
        (
            "Input shape: a\nOutput shape: b",
            "Input shape: a\n\nOutput shape: b",
        ),
    ],
)
def test_docstrings_become_markdown(docstring, expected):
    assert load("reference").as_markdown(docstring) == expected


def test_notebooks_become_pages():
    code = {
        "cell_type": "code",
        "source": ["a = 1\n", "print(a)"],
        "outputs": [
            {"output_type": "stream", "text": ["1\n"]},
            {
                "output_type": "display_data",
                "data": {"image/png": "QUJD\n", "text/plain": ["<Figure>"]},
            },
            {"output_type": "execute_result", "data": {"text/plain": ["2"]}},
        ],
    }
    text = {"cell_type": "markdown", "source": ["# Title\n", "\n", "Text."]}
    page = load("notebook_pages").page(json.dumps({"cells": [text, code]}))
    assert page == (
        "# Title\n\nText.\n\n```python\na = 1\nprint(a)\n```\n\n"
        "```text\n1\n```\n\n"
        "![what the code draws](data:image/png;base64,QUJD)\n\n"
        "```text\n2\n```\n"
    )


def test_the_reference_shows_what_names_stand_for():
    """A function, though there may be a file of the same name."""
    package = griffe.load(
        "dsr_tf",
        search_paths=[ROOT],
        extensions=griffe.load_extensions(ROOT / "docs/site/reference.py"),
    )
    for name in public_names():
        shown = package[name.removeprefix("dsr_tf.")]
        thing = functools.reduce(getattr, name.split(".")[1:], dsr_tf)
        assert shown.is_class == isinstance(thing, type), name
        assert shown.is_function == inspect.isfunction(thing), name
        assert shown.is_attribute or shown.docstring, name
    # Classes that are made by a call.
    adam = package["optimizers.Adam"]
    assert adam.docstring.value == dsr_tf.optimizers.Adam.__doc__
    assert [
        (one.name, one.default, one.annotation)
        for one in (*list(adam.parameters)[:3], list(adam.parameters)[-1])
    ] == [
        ("self", None, None),
        ("learning_rate", "0.001", None),
        ("beta_1", "0.9", None),
        ("kwargs", None, None),
    ]
    bits = package["layers.ClusteredDense"].parameters["bits"]
    assert (bits.annotation, bits.default) == ("int | dict[str, int]", "6")
