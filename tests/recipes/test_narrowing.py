"""Methods that narrow: their phases, what flags allow, what runs leave."""

import json
import zipfile

import keras
import numpy as np
import pytest

from dsr_tf import models
from dsr_tf.command_line import UsageError
from dsr_tf.commands import evaluate
from dsr_tf.commands import report
from dsr_tf.recipes import registry
from dsr_tf.recipes.narrowing import Narrowing
from dsr_tf.structure import Structure
from dsr_tf.structure import narrow
from dsr_tf.structure.choice import choose
from dsr_tf.training import checkpoint
from dsr_tf.training import run_summary
from dsr_tf.training.experiment import Experiment
from dsr_tf.training.run import Run


class First(Narrowing):
    """Keeps the first units of each layer."""

    name = "first"

    def narrow(self, experiment, dense, images, **amount):
        structure = Structure(dense)
        scores = {
            s.name: -np.arange(s.num_units) / s.num_units
            for s in structure.sets
        }
        share = amount.pop("share", None)
        if share is not None:
            keep = {n: choose.share(s, 1 - share) for n, s in scores.items()}
        else:
            keep = choose.to_budget(scores, structure.cost, **amount)
        return narrow(dense, keep)


class Shrunk(First):
    """The same, after a penalty on all kernels."""

    name, strength = "shrunk", 0.01

    def penalize(self, experiment, dense, strength):
        for layer in dense.layers:
            if hasattr(layer, "kernel"):
                layer.kernel.regularizer = keras.regularizers.L2(strength)
        return dense


@pytest.fixture(scope="module", autouse=True)
def methods():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "_RECIPES", dict(registry._RECIPES))
        yield {r.name: registry.register(r) for r in (First(), Shrunk())}


def experiment(**settings):
    return Experiment(**{"output_dir": "x", **settings})


@pytest.mark.parametrize(
    "settings, phase",
    [
        ({"method": "shrunk"}, "penalty"),
        ({"method": "shrunk", "initial_checkpoint": "run"}, "narrow"),
        (
            {
                "method": "shrunk",
                "initial_checkpoint": "run",
                "phase": "penalty",
            },
            "penalty",
        ),
        ({"method": "first", "initial_checkpoint": "run"}, "narrow"),
        (
            {"method": "first", "initial_checkpoint": "run", "phase": "narrow"},
            "narrow",
        ),
    ],
)
def test_phases(settings, phase, methods):
    recipe, flags = methods[settings["method"]], experiment(**settings)
    assert recipe.prepares(flags) == (phase == "narrow")
    assert recipe.phase(flags) == {
        "penalty": "training with its penalty",
        "narrow": "training what it leaves",
    }.get(phase)
    # A comparison makes one run of the first phase for all densities.
    assert recipe.has_density(flags) == (phase == "narrow")


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"method": "first"}, "--initial_checkpoint is required: the run"),
        ({"method": "shrunk", "phase": "narrow"}, "--initial_checkpoint is"),
        (
            {"method": "first", "phase": "penalty"},
            "--phase=penalty: --method=first has no penalty",
        ),
        ({"method": "dsr", "phase": "narrow"}, "needs a --method that narrows"),
        (
            {
                "method": "first",
                "initial_checkpoint": "run",
                "keep_share": "0.5",
                "mac_budget": 9,
            },
            "--keep_share=0.5: says how much stays, as --mac_budget does",
        ),
    ],
)
def test_flags_that_do_not_go_together(settings, message):
    with pytest.raises(UsageError, match=message):
        experiment(**settings)


# Of LeNet-300-100 for images of 8x8: 50,200 weights, 820 gammas and betas.
@pytest.mark.parametrize(
    "settings, amount",
    [
        ({}, ("parameter_budget", 5020 + 820)),
        ({"sparsity": 0.5}, ("parameter_budget", 25100 + 820)),
        ({"parameter_budget": 7000}, ("parameter_budget", 7000)),
        ({"parameter_budget": 0.5}, ("parameter_budget", 25510)),
        ({"mac_budget": 0.25}, ("mac_budget", 12550)),
        ({"mac_budget": 9000}, ("mac_budget", 9000)),
        ({"keep_share": "0.2"}, ("keep_share", 0.2)),
        ({"keep_share": "c1:.5,2:1"}, ("keep_share", {"c1": 0.5, "2": 1})),
    ],
)
def test_how_much_stays(settings, amount, methods):
    flags = experiment(method="first", initial_checkpoint="run", **settings)
    dense = models.lenet_300_100((8, 8, 1))
    assert methods["first"].amount(flags, dense) == amount
    has_density = not settings.keys() - {"sparsity"}
    assert methods["first"].has_density(flags) == has_density


def test_a_budget_that_nothing_fits_names_its_flag(methods):
    dense = models.lenet_300_100((8, 8, 1))
    for name in ("parameter_budget", "mac_budget"):
        flags = experiment(
            method="first", initial_checkpoint="run", **{name: 5}
        )
        with pytest.raises(UsageError, match=f"flag --{name}=5: "):
            methods["first"].prepare(flags, dense, None)


@pytest.mark.parametrize(
    "name, most", [("parameter_budget", 51020), ("mac_budget", 50200)]
)
def test_a_budget_that_nothing_has_to_go_for(name, most, methods):
    dense = models.lenet_300_100((8, 8, 1))
    for budget in (most, most + 1):
        flags = experiment(
            method="first", initial_checkpoint="run", **{name: budget}
        )
        if budget == most:
            assert methods["first"].amount(flags, dense) == (name, most)
            continue
        with pytest.raises(UsageError, match=f"{budget}: more than the {most}"):
            methods["first"].amount(flags, dense)


def trained(folder, **settings):
    run = Run(
        experiment(
            output_dir=str(folder),
            epochs=2,
            jit_compile=False,
            steps_per_execution=1,
            checkpoints_to_keep=3,
            **settings,
        )
    )
    return run.train()


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Both phases of a method, and their summaries."""
    folder = tmp_path_factory.mktemp("runs")
    first = trained(folder / "first", method="shrunk")
    second = trained(
        folder / "second",
        method="shrunk",
        initial_checkpoint=str(folder / "first"),
        keep_share="0.2",
    )
    return folder, first, second


def test_both_phases(runs):
    folder, first, second = runs
    assert first["num_parameters"] == 51020 and "narrowed" not in first
    assert first["num_macs"] == 50200
    # 64-60-20-10.
    assert second["num_parameters"] == 64 * 60 + 1200 + 200 + 2 * 90
    assert second["num_macs"] == 5240
    assert second["test_accuracy"] > 0.9
    assert second["narrowed"] == {
        "num_parameters": 5420,
        "dense_num_parameters": 51020,
        "dense_num_macs": 50200,
        "units": {"fc1": [60, 300], "fc2": [20, 100]},
    }
    assert run_summary.read(folder / "second")["narrowed"]["units"]
    # Drawn from +-1/8, so 1/16 in the mean, before the penalty.
    kernel = keras.models.load_model(
        folder / "first" / "model.keras", compile=False
    ).get_layer("fc1")
    assert np.abs(kernel.get_weights()[0]).mean() < 0.05


def test_from_a_masked_network(tmp_path):
    """What is inactive there is 0 at the start."""
    trained(tmp_path / "masked", method="static")
    trained(
        tmp_path / "second",
        method="first",
        initial_checkpoint=str(tmp_path / "masked"),
        keep_share="0.5",
    )
    path = tmp_path / "second" / "checkpoints" / "step-0.npz"
    started = checkpoint.read(path)
    kernel = dict(zip(started.names, started.values))["fc1/kernel"]
    assert kernel.shape == (64, 150)
    assert 0.85 < (kernel == 0).mean() < 0.95


def test_its_file_needs_nothing_of_this_package(runs):
    """Keras finds what a file names; a fresh process that cannot import the
    package reads such files in `tests/structure/test_narrow.py`."""
    path = runs[0] / "second" / "model.keras"
    with zipfile.ZipFile(path) as file:
        assert b"dsr_tf" not in file.read("config.json")
    # Statistics too.
    assert keras.models.load_model(path).count_params() == 5420 + 180


def test_both_models_are_the_one_that_was_trained(runs, capsys):
    folder, _, summary = runs
    for name in ("model.keras", "saved_model"):
        evaluate.main(["evaluate", f"--model={folder}/second/{name}"])
        assert f"{summary['test_accuracy']:.2%}" in capsys.readouterr().out


def test_each_phase_is_titled_by_what_it_does(runs, capsys):
    for name, phase in (("first", "with its penalty"), ("second", "what it ")):
        report.main(["report", f"--run={runs[0]}/{name}"])
        printed = " ".join(capsys.readouterr().out.split())
        assert f"phase training {phase}" in printed
        page = (runs[0] / name / "report.html").read_text()
        assert f"on digits, shrunk, training {phase}" in page


def test_the_report_tells_what_has_gone(runs, capsys):
    report.main(["report", f"--run={runs[0]}/second"])
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["multiply-adds", "5,240", "of", "50,200"] in lines
    assert ["channels", "80", "of", "400"] in lines
    # With what the network was made of, not with what is left of it.
    stored = runs[2]["saved_model_bytes"]
    times = f"{4 * 51020 / stored:.1f}"
    words = ["times", "smaller", "than", "dense", "float32)"]
    assert any(line[-6:] == [f"({times}", *words] for line in lines)
    assert ["channels", "of", "all", "left", "share"] in lines
    assert ["fc1", "300", "60", "0.2000"] in lines
    assert ["fc2", "100", "20", "0.2000"] in lines


@pytest.mark.parametrize(
    "change",
    [
        {"units": {"fc1": [301, 300]}},
        {"units": {"fc1": [1]}},
        {"units": []},
        {"num_parameters": -1},
        {"dense_num_macs": "many"},
    ],
    ids=str,
)
def test_a_damaged_summary_is_refused(change, runs, tmp_path):
    narrowed = {**runs[2]["narrowed"], **change}
    text = json.dumps({**runs[2], "narrowed": narrowed})
    (tmp_path / "summary.json").write_text(text)
    with pytest.raises(run_summary.Damaged, match="it holds narrowed="):
        run_summary.read(tmp_path)
