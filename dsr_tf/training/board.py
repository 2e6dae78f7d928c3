"""What a run writes for TensorBoard, and settings and results beside it.

Settings are TensorBoard's hyperparameters, by which its page HPARAMS compares
runs. Only the package `tensorboard` can write them.
"""

import contextlib
import glob
import os
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import keras
from absl import logging

from dsr_tf import recipes
from dsr_tf.callbacks import SparsityBoard
from dsr_tf.callbacks import summaries
from dsr_tf.callbacks.log_board import LogBoard
from dsr_tf.layers import masked_weights
from dsr_tf.training.experiment import FREE_TO_CHANGE
from dsr_tf.training.experiment import Experiment

# In the folder of a run, or a comparison.
FOLDER = "tensorboard"
# Of Keras' logs; those of the test set begin with `val_`.
_LOGS = ("loss", "accuracy", "val_loss", "val_accuracy", "threshold")
# Of a summary, and what TensorBoard calls them.
_RESULTS = {
    "test_accuracy": "test accuracy",
    "num_active_parameters": "active parameters",
    "num_active_macs": "active MACs",
    "training_macs_ratio": "training MACs, dense = 1",
}


def of_run(folder: str, experiment: Experiment, model: keras.Model) -> LogBoard:
    """The callback of a run, whose settings are written at once.

    Args:
        folder: Folder to write to.
        experiment: The settings.
        model: The model. Of one without masks there are losses and
            accuracies only.
    """
    hparams, shown = _hparams(), _shown(experiment.to_dict())
    if not recipes.get(experiment.method).has_density(experiment):
        del shown["sparsity"]
    if hparams is not None:
        # Runs of one name would be one trial. There is room for little of it.
        parent, name = os.path.split(os.path.abspath(experiment.output_dir))
        with _writing(folder, 0):
            hparams.hparams(shown, f"{name} in {parent}")
    kind = SparsityBoard if masked_weights(model) else LogBoard
    return kind(folder, logs=_LOGS)


def write_results(folder: str, summary: Mapping[str, Any], step: int) -> None:
    """Write what a run has come to, beside its settings.

    Args:
        folder: Folder to write to.
        summary: Its summary.
        step: Number of updates that it has made.
    """
    with _writing(folder, step):
        for name in _RESULTS:
            if name in summary:
                summaries.scalar(f"result/{name}", summary[name])


def describe(folder: str, runs: Sequence[Mapping[str, Any]]) -> None:
    """Say what HPARAMS compares the runs below a folder by.

    Without it there is a column for each setting and for each number that
    was written.

    Args:
        folder: Folder to write to; what was said there before is gone.
        runs: Settings of the runs. Those that differ are shown.
    """
    hparams = _hparams()
    if hparams is None:
        return
    for path in glob.glob(os.path.join(glob.escape(folder), "events.out.*")):
        os.remove(path)
    shown = [_shown(settings) for settings in runs]
    names = dict.fromkeys(name for each in shown for name in each)
    differ = [
        name for name in names if len({each.get(name) for each in shown}) > 1
    ]
    with _writing(folder, 0):
        hparams.hparams_config(
            hparams=[hparams.HParam(name) for name in differ or ["method"]],
            metrics=[
                hparams.Metric(f"result/{name}", display_name=title)
                for name, title in _RESULTS.items()
            ],
        )


def _shown(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that a result may depend on, as TensorBoard takes them."""
    return {
        name: value
        if isinstance(value, (bool, int, float, str))
        else str(value)
        for name, value in settings.items()
        if value is not None
        and (name == "epochs" or name not in FREE_TO_CHANGE)
    }


def _hparams() -> Any:
    try:
        from tensorboard.plugins.hparams import api
    except ImportError:
        logging.warning(
            "--tensorboard: the settings of the run are not among what is "
            "written, since the package tensorboard is not installed."
        )
        return None
    return api


@contextlib.contextmanager
def _writing(folder: str, step: int) -> Iterator[None]:
    """Scope in which summaries go to a file of its own."""
    tf = summaries.tensorflow("--tensorboard")
    writer = tf.summary.create_file_writer(folder)
    with tf.device("CPU:0"), writer.as_default(step):
        yield
    writer.close()
