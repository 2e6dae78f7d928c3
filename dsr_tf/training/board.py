"""What a run writes for TensorBoard, and the settings beside it."""

from typing import Any

import keras
from absl import logging

from dsr_tf.callbacks import SparsityBoard
from dsr_tf.layers import masked_weights

# Of Keras' logs; those of the test set begin with `val_`.
_LOGS = ("loss", "accuracy", "val_loss", "val_accuracy", "threshold")


def of_run(
    folder: str, settings: dict[str, Any], model: keras.Model
) -> SparsityBoard | None:
    """The callback of a run, whose settings are written at once.

    Args:
        folder: Folder to write to.
        settings: As `Experiment.to_dict` has them.
        model: The model.

    Returns:
        None where the model has no masks, which a warning says.
    """
    if not masked_weights(model):
        logging.warning(
            "--tensorboard: nothing is written, since the network has no masks."
        )
        return None
    _write_settings(folder, settings)
    return SparsityBoard(folder, logs=_LOGS)


def _write_settings(folder: str, settings: dict[str, Any]) -> None:
    """Settings as TensorBoard's hyperparameters, by which runs compare."""
    try:
        from tensorboard.plugins.hparams import api
    except ImportError:
        logging.warning(
            "--tensorboard: the settings of the run are not among what is "
            "written, since the package tensorboard is not installed."
        )
        return
    import tensorflow as tf

    writer = tf.summary.create_file_writer(folder)
    with writer.as_default():
        api.hparams(
            {
                name: value
                if isinstance(value, (bool, int, float, str))
                else str(value)
                for name, value in settings.items()
                if value is not None
            }
        )
    writer.close()
