"""Accuracy and loss, epoch by epoch."""

from dsr_tf.page import numbers
from dsr_tf.page.chart import Axis
from dsr_tf.page.chart import Line
from dsr_tf.page.chart import lines
from dsr_tf.page.markup import Markup
from dsr_tf.page.run import Run
from dsr_tf.page.sections.section import grid
from dsr_tf.page.sections.section import section

EPOCHS = Axis("epoch", numbers.short, is_whole=True)


def of(run: Run) -> Markup:
    figures = [
        lines(title, found, EPOCHS, axis)
        for title, columns, axis in (
            (
                "Accuracy",
                (("test", "test_accuracy"), ("training", "accuracy")),
                Axis("share of images", numbers.round_percent, high=1.0),
            ),
            (
                "Loss",
                (("test", "test_loss"), ("training", "loss")),
                Axis("with penalties", numbers.plain, is_log=True),
            ),
            (
                "Learning rate",
                (("learning rate", "learning_rate"),),
                Axis("at the start of an epoch", numbers.plain, low=0.0),
            ),
        )
        if (
            found := [
                Line(name, by_epoch(run.curves[column]))
                for name, column in columns
                if run.curves.get(column)
            ]
        )
    ]
    if not figures:
        return Markup()
    return section("Accuracy and loss", "", grid(*figures))


def by_epoch(values: list[float]) -> list[tuple[float, float]]:
    """Points of a curve, with epochs from 1 on."""
    return [(float(epoch), value) for epoch, value in enumerate(values, 1)]
