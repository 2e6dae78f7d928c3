"""The numbers that a run is judged by."""

from dsr_tf.page import numbers
from dsr_tf.page.markup import Markup
from dsr_tf.page.markup import element
from dsr_tf.page.run import Run
from dsr_tf.page.table import table


def of(run: Run) -> Markup:
    return element(
        "section", element("dl", *map(_tile, _found(run)), class_="tiles")
    )


def _tile(found: tuple[str, str, str]) -> Markup:
    name, value, note = found
    return element(
        "div",
        element("dt", name),
        element("dd", value, class_="number"),
        element("dd", note, class_="note") if note else "",
    )


def _found(run: Run) -> list[tuple[str, str, str]]:
    """Names, numbers and what is said of them."""
    summary = run.summary
    found = [
        (
            "test accuracy",
            numbers.percent(summary["test_accuracy"]),
            f"best {numbers.percent(summary['best_test_accuracy'])}",
        )
    ]
    if "test_top5_accuracy" in summary:
        top5 = numbers.percent(summary["test_top5_accuracy"])
        found.append(("test accuracy, top 5", top5, ""))
    # Of a network without some of its channels, the dense one is before.
    narrowed = summary.get("narrowed", {})
    before = narrowed.get("dense_num_parameters", summary["num_parameters"])
    active = summary["num_active_parameters"]
    found.append(
        (
            "active parameters",
            numbers.count(active),
            f"{numbers.percent(active / max(1, before))} of "
            f"{numbers.count(before)}",
        )
    )
    if num_kernels := len(summary["kernels"]):
        found.append(
            (
                "density of masked kernels",
                numbers.percent(summary["mask_density"]),
                f"in {num_kernels} kernel{'s' if num_kernels > 1 else ''}",
            )
        )
    macs = narrowed.get("dense_num_macs", summary.get("num_macs"))
    active_macs = summary.get("num_active_macs")
    if macs and active_macs is not None:
        found.append(
            (
                "active multiply-adds",
                numbers.short(active_macs),
                f"{numbers.percent(active_macs / macs)} of "
                f"{numbers.short(macs)}, an example",
            )
        )
    if "training_macs_ratio" in summary:
        ratio = numbers.percent(summary["training_macs_ratio"])
        found.append(("multiply-adds of training", ratio, "of dense training"))
    stored = summary["saved_model_bytes"]
    found.append(
        (
            "SavedModel",
            numbers.size(stored),
            f"{numbers.percent(stored / (4 * max(1, before)))} of "
            f"{numbers.short(before)} parameters in float32",
        )
    )
    seconds = summary["seconds_per_epoch"]
    epochs = f"{summary['epochs']:,} epoch{'s' * (summary['epochs'] > 1)}"
    found.append(("time", f"{seconds:,.3g} s", f"an epoch, of {epochs}"))
    if moves := summary["num_reallocations"]:
        found.append(("reallocations", numbers.count(moves), ""))
    return found


def settings(run: Run) -> Markup:
    """All that the run was told, and what it ran with."""
    given = run.summary.get("settings") or {}
    rows = [
        (f"--{name}", str(value))
        for name, value in given.items()
        if value is not None
    ]
    rows += [
        (name, str(run.summary[name]))
        for name in ("version", "commit", "tensorflow", "keras", "python")
        if name in run.summary
    ]
    rows += [
        ("device", f"{device['type']} {device['name']}")
        for device in run.summary.get("device", [])
    ]
    if not rows:
        return Markup()
    return element(
        "details",
        element("summary", "Settings and versions"),
        table(("setting", "value"), rows),
    )
