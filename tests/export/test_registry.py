"""Formats are found by their files: a new one is one file, for all commands."""

import ast
import inspect
import sys

import keras
import numpy as np
import pytest

from dsr_tf.command_line import UsageError
from dsr_tf.commands import evaluate
from dsr_tf.commands import export
from dsr_tf.export import formats
from dsr_tf.export import registry
from dsr_tf.export.format import ExportFormat
from dsr_tf.export.format import Option
from dsr_tf.export.runnable import runnable_keras

# A format: the configuration and the weights, as JSON.
PLAIN = """
import json

import keras
import numpy as np

from dsr_tf.export import target
from dsr_tf.export.format import ExportFormat
from dsr_tf.export.format import Option
from dsr_tf.export.format import Report
from dsr_tf.export.format import values_option
from dsr_tf.export.runnable import RunnableModel
from dsr_tf.export.runnable import loading


class Plain(ExportFormat):
    name, title, suffix = "plain", "Plain", ".plain"
    options = (
        values_option("float32", "int8"),
        Option("greeting", "", "What the file begins with."),
    )

    def write(self, model, path, options):
        if model.name == "odd":
            raise ValueError("an odd model is not plain")
        content = {
            **options,
            "config": model.to_json(),
            "weights": [w.tolist() for w in model.get_weights()],
        }
        with target.written_whole(path, "model.plain") as scratch:
            with open(scratch, "w") as file:
                json.dump(content, file)

    def report(self, model, options):
        notes = (("greeting", options["greeting"]),)
        return Report("anybody can read it", stores_zeros=True, notes=notes)

    def load(self, flag, path):
        with loading(flag, path), open(path) as file:
            content = json.load(file)
            model = keras.models.model_from_json(content["config"])
            weights = content["weights"]
            model.set_weights([np.array(w, "float32") for w in weights])
        return RunnableModel(
            path, self.title, model.predict_on_batch, model.input_shape
        )


FORMAT = Plain()
"""


@pytest.fixture
def plain(tmp_path, monkeypatch):
    """The new format, as a file in a folder of its own."""
    folder = tmp_path / "more"
    folder.mkdir()
    (folder / "plain.py").write_text(PLAIN)
    monkeypatch.setattr(formats, "__path__", [*formats.__path__, str(folder)])
    yield
    sys.modules.pop(f"{formats.__name__}.plain", None)


@pytest.fixture
def model(tmp_path):
    """A model of the digits, in a file."""
    inputs = keras.Input((8, 8, 1))
    outputs = keras.layers.Dense(10)(keras.layers.Flatten()(inputs))
    path = tmp_path / "m.keras"
    keras.Model(inputs, outputs).save(path)
    return path


def refusal(command, *arguments, capsys):
    with pytest.raises(SystemExit) as error:
        command.main(["x", *map(str, arguments)])
    assert error.value.code == 2
    return capsys.readouterr().err


def test_a_new_format_is_one_file(plain, model, tmp_path, capsys):
    path = tmp_path / "m.plain"
    export.main(
        [
            *("export", f"--model={model}", f"--output={path}"),
            *("--format=plain", "--greeting=hello"),
        ]
    )
    printed = " ".join(capsys.readouterr().out.split())
    assert '"greeting": "hello"' in path.read_text()
    assert (tmp_path / "m.plain.sha256").exists()
    assert "equal to the model's to the bit" in printed
    assert "what it gains anybody can read it greeting hello" in printed
    accuracies = []
    for file in (model, path):
        evaluate.main(["evaluate", f"--model={file}", "--dataset=digits"])
        words = capsys.readouterr().out.split()
        accuracies.append(words[words.index("accuracy") + 1])
    assert accuracies[0] == accuracies[1]


def test_the_commands_tell_of_a_new_format(plain, model, tmp_path, capsys):
    for command, sentence in (
        (export, "--format=<saved_model|litert|onnx|packed|plain>"),
        (
            export,
            "Folder of the SavedModel, .tflite, .onnx, .packed or .plain file,",
        ),
        (export, "--values=<float32|float16|bfloat16|int8>"),
        (export, "--greeting=<string>\n      What the file begins with."),
        (evaluate, "a .keras, .tflite, .onnx, .packed or .plain file, or"),
    ):
        with pytest.raises(SystemExit) as error:
            command.main(["x", "--help"])
        assert not error.value.code
        assert sentence in capsys.readouterr().out
    for command, arguments, sentence in (
        (
            evaluate,
            ["--model=x"],
            "SavedModel, a .keras, .tflite, .onnx, .packed or .pl",
        ),
        (
            export,
            [f"--output={tmp_path}/x", "--greeting=hello"],
            "flag --greeting=hello: is for --format=plain only, not for "
            "--format=saved_model",
        ),
        (
            export,
            [f"--output={tmp_path}/x", "--values=int8"],
            "flag --values=int8: must be one of float32, float16, bfloat16 "
            "for --format=saved_model",
        ),
        (
            export,
            [f"--output={tmp_path}/x.plain", "--format=plain", "--dense"],
            "flag --dense=True: is for --format=saved_model only, not for "
            "--format=plain",
        ),
        (
            export,
            [f"--output={tmp_path}/x", "--format=plain"],
            "must be a file that does not exist and end in .plain",
        ),
    ):
        message = refusal(
            command, f"--model={model}", *arguments, capsys=capsys
        )
        assert sentence in message


def test_errors_of_a_new_format_are_sentences(plain, model, tmp_path, capsys):
    inputs = keras.Input((4,))
    odd = keras.Model(inputs, keras.layers.Dense(2)(inputs), name="odd")
    odd.save(tmp_path / "odd.keras")
    message = refusal(
        export,
        *(f"--model={tmp_path}/odd.keras", f"--output={tmp_path}/x.plain"),
        "--format=plain",
        capsys=capsys,
    )
    assert "odd.keras: an odd model is not plain" in message
    (tmp_path / "bad.plain").write_text("{")
    message = refusal(
        evaluate,
        *(f"--model={tmp_path}/bad.plain", "--dataset=digits"),
        capsys=capsys,
    )
    assert "bad.plain: cannot be loaded (" in message


def test_a_keras_model_is_traced_once():
    """For batches of any size: TensorFlow warns of functions that are not."""
    traced = []

    class Counts(keras.layers.Layer):
        def call(self, inputs):
            traced.append(inputs.shape)
            return 2 * inputs

    inputs = keras.Input((3,))
    model = keras.Model(inputs, Counts()(inputs))
    predict = runnable_keras("model", "path", "Keras", model).predict
    traced.clear()
    for size in (1, 5, 32):
        batch = np.arange(3 * size, dtype="float32").reshape(size, 3)
        np.testing.assert_array_equal(predict(batch), 2 * batch)
    assert not traced


def test_what_there_is():
    names = ["saved_model", "keras", "litert", "onnx", "packed"]
    assert [format.name for format in registry.formats()] == names
    assert set(registry.exported()) == set(names) - {"keras"}
    with pytest.raises(UsageError, match="--output=/x: must be a SavedModel"):
        registry.load("output", "/x")


def test_formats_of_no_folder_or_of_one_file_in_words():
    by_name = {format.name: format for format in registry.formats()}

    def words(*names):
        return registry.in_words([by_name[name] for name in names], "a ")

    assert words("saved_model") == "a SavedModel"
    assert words("onnx") == "a .onnx file"
    assert words("saved_model", "keras") == "a SavedModel, a .keras file"


def test_formats_have_names_of_their_own(plain, tmp_path):
    text = PLAIN.replace('"plain"', '"onnx"')
    (tmp_path / "more" / "plain.py").write_text(text)
    with pytest.raises(ValueError, match="'onnx' from .*onnx and .*plain"):
        registry.formats()


def test_options_of_one_name_must_mean_one_thing(monkeypatch):
    class Other(ExportFormat):
        name, title, suffix = "other", "Other", ".other"
        options = (Option("dense", True, "Something else."),)
        write = report = load = None

    own = registry.formats()
    monkeypatch.setattr(registry, "formats", lambda: [*own, Other()])
    with pytest.raises(ValueError, match="must have the same default and help"):
        registry.options()


@pytest.mark.parametrize("command", [export, evaluate])
def test_commands_name_no_format(command):
    """But for the default, and `.keras`, which all exports begin with."""
    tree = ast.parse(inspect.getsource(command))
    docstrings = {
        ast.get_docstring(node, clean=False)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Module, ast.FunctionDef))
    }
    texts = {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    } - docstrings
    for format in registry.exported().values():
        names = {format.name, format.title, format.suffix} - {""}
        for text in texts:
            assert not any(name in text for name in names), text
