"""Bad input to all commands: one sentence that names the flag, exit code 2,
nothing written."""

import pytest

from dsr_tf.commands import benchmark
from dsr_tf.commands import compare
from dsr_tf.commands import evaluate
from dsr_tf.commands import export
from dsr_tf.commands import report
from dsr_tf.commands import train
from tests.commands import cases
from tests.commands import cases_train
from tests.commands.conftest import listing

FEWER = "--epochs=1 --nojit_compile"


@pytest.fixture
def refuses(world, monkeypatch, capsys):
    """A function that runs a command in `world` and checks its refusal."""
    monkeypatch.chdir(world)
    monkeypatch.delenv("TF_CONFIG", raising=False)
    before = listing(world)

    def check(command, arguments, message):
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            command.main(
                ["command", *arguments.split(" ")] if arguments else ["command"]
            )
        captured = capsys.readouterr()
        assert end.value.code == 2, captured.err
        assert captured.err.startswith("command: ")
        assert captured.err.count("\n") == 1
        assert "Traceback" not in captured.err
        assert "<function" not in captured.err
        assert message in captured.err
        assert captured.out == ""
        assert listing(world) == before

    return check


def flat(tables, prefix=""):
    return [
        pytest.param(f"{prefix}--{name}={value}", id=ascii(f"{name}={value}"))
        for name, values in tables.items()
        for value in values
    ]


def named(table):
    return [pytest.param(*case, id=ascii(case[0])[:60]) for case in table]


@pytest.mark.parametrize("argument", flat(cases_train.VALUES))
def test_train_refuses_a_value(argument, refuses):
    name, _, value = argument.partition("=")
    message = f"flag {name}={value}: "
    if name == "--output_dir" and not value:
        message = "flag --output_dir is required"
    elif name in ("--width", "--schedule_scale", "--image_size", "--flagfile"):
        message = f"flag {name}="  # The number, or the path, in full.
    output = "" if name == "--output_dir" else "--output_dir=new "
    refuses(train, f"{output}{FEWER} {argument}", message)


@pytest.mark.parametrize("arguments, message", named(cases_train.TOGETHER))
def test_train_refuses_what_does_not_go_together(arguments, message, refuses):
    needs_output = "output_dir" not in message
    output = f"--output_dir=new {FEWER} " if needs_output else ""
    refuses(train, f"{output}{arguments}".strip(), message)


@pytest.mark.parametrize("hparams", cases_train.PRUNING)
def test_train_refuses_pruning_hyperparameters(hparams, refuses):
    refuses(
        train,
        f"--output_dir=new --method=gradual --pruning_hparams={hparams}",
        f"flag --pruning_hparams={hparams}: ",
    )


# All commands read them alike: every damage in one, some in the others.
@pytest.mark.parametrize(
    "damage, command",
    [(damage, "train") for damage in cases_train.RECORDS]
    + [
        (damage, ("evaluate", "benchmark")[number % 2])
        for number, damage in enumerate(cases_train.RECORDS)
    ],
)
def test_damaged_records(damage, command, refuses):
    folder = "file" if damage == "file" else f"data/{damage}"
    asked = {
        "train": (train, f"--output_dir=new {FEWER} --batch_size=5"),
        "evaluate": (evaluate, "--model=run/model.keras"),
        "benchmark": (benchmark, "--networks=dense --rounds=1 --batch_size=5"),
    }[command]
    refuses(
        asked[0],
        f"{asked[1]} --dataset=small --data_dir={folder}",
        cases_train.RECORDS[damage],
    )


@pytest.mark.parametrize("folder", cases_train.IMAGES)
def test_folders_of_images(folder, refuses):
    refuses(
        train,
        f"--output_dir=new {FEWER} --dataset=image_folder --data_dir={folder}",
        cases_train.IMAGES[folder],
    )


@pytest.mark.parametrize("arguments, message", named(cases.COMPARE))
def test_compare(arguments, message, refuses):
    refuses(compare, arguments, message)


@pytest.mark.parametrize("arguments, message", named(cases.REPORT))
def test_report(arguments, message, refuses):
    refuses(report, arguments, message)


@pytest.mark.parametrize("name", cases.SUMMARIES)
def test_report_of_a_damaged_summary(name, refuses):
    refuses(report, f"--run=runs/{name}", cases.SUMMARIES[name])


@pytest.mark.parametrize("name", cases.SUMMARIES)
def test_evaluate_beside_a_damaged_summary(name, refuses):
    refuses(evaluate, f"--model=runs/{name}/model.keras", cases.SUMMARIES[name])


@pytest.mark.parametrize("arguments, message", named(cases.EVALUATE))
def test_evaluate(arguments, message, refuses):
    refuses(evaluate, arguments, message)


@pytest.mark.parametrize("arguments, message", named(cases.BENCHMARK))
def test_benchmark(arguments, message, refuses):
    refuses(benchmark, f"{FEWER} {arguments}", message)


@pytest.mark.parametrize("arguments, message", named(cases.EXPORT))
def test_export(arguments, message, refuses):
    refuses(export, arguments, message)
