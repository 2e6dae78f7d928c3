"""A summary of sparsity, printed."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from dsr_tf.core.named_numbers import NamedNumbers
from dsr_tf.core.printing import NO_MACS
from dsr_tf.core.printing import short
from dsr_tf.core.printing import size
from dsr_tf.core.printing import total
from dsr_tf.layers.storages import MASKED

if TYPE_CHECKING:
    from dsr_tf.layers.summary import LayerSummary
    from dsr_tf.layers.summary import SparsitySummary


def of(summary: "SparsitySummary") -> Table:
    """A `rich` table, a line for each kernel, and their sums."""
    columns = ["shape", "weights", "active", "density"]
    has_bits = any(layer.bits for layer in summary.layers)
    is_stored = any(layer.storage != MASKED for layer in summary.layers)
    all_macs = [summary.num_macs, *(x.num_macs for x in summary.layers)]
    has_macs = any(number is not None for number in all_macs)
    columns += ["MACs", "active\nMACs"] if has_macs else []
    columns += ["bits"] if has_bits else []
    columns += ["storage"] if is_stored else []
    table = NamedNumbers(
        f"Sparsity of {summary.name}",
        "kernel",
        columns,
        _caption(summary, lacks_macs=has_macs and None in all_macs),
        num_folded=1,
    )

    def add(name: str, shape: str, size: int, active: int, *more: str) -> None:
        density = f"{active / size:.4f}"
        table.add_line(name, shape, f"{size:,}", f"{active:,}", density, *more)

    def macs(*of: "LayerSummary | SparsitySummary") -> list[str]:
        if not has_macs:
            return []
        return [
            short(total(each.num_macs for each in of)),
            short(total(each.num_active_macs for each in of)),
        ]

    for layer in summary.layers:
        shape = "x".join(str(n) for n in layer.shape)
        more = macs(layer)
        more += [str(layer.bits or "")] if has_bits else []
        more += [layer.storage] if is_stored else []
        add(layer.path, shape, layer.size, layer.num_active, *more)
    table.add_section()
    if summary.layers:
        add(
            "masked kernels",
            "",
            summary.num_masked,
            summary.num_active,
            *macs(*summary.layers),
        )
    add(
        "all parameters",
        "",
        summary.num_parameters,
        summary.num_active_parameters,
        *macs(summary),
    )
    return table


def _caption(summary: "SparsitySummary", lacks_macs: bool) -> str:
    """What is to say below the table."""
    captions = [_memory(summary)] if summary.layers else []
    if lacks_macs:
        captions.append(f"{NO_MACS}; `dsr_tf.cost` names their layers")
    frozen = [layer.path for layer in summary.layers if not layer.trainable]
    if frozen:
        captions.append(f"Frozen, so nothing moves: {enumerated(frozen)}")
    if summary.dense_note:
        captions.append(summary.dense_note)
    by_reason: dict[str, list[str]] = {}
    for name, reason in summary.skipped_layers.items():
        by_reason.setdefault(reason, []).append(name)
    if by_reason:
        captions.append(
            "Left dense: "
            + "; ".join(
                f"{enumerated(names)}: {reason}"
                for reason, names in by_reason.items()
            )
        )
    return ". ".join(captions)


def _memory(summary: "SparsitySummary") -> str:
    """The bytes of the layers in one sentence."""
    weights = sum(layer.weight_bytes for layer in summary.layers)
    masks = sum(layer.mask_bytes for layer in summary.layers)
    parts = [f"weights {size(weights)}", f"masks {size(masks)}"]
    slots = [layer.slot_bytes for layer in summary.layers]
    known = [n for n in slots if n is not None]
    if known:
        parts.append(f"slots of the optimizer {size(sum(known))}")
    return f"Memory of these kernels: {', '.join(parts)}"


def enumerated(names: Sequence[str]) -> str:
    """Names in a sentence, of many the first two."""
    if len(names) <= 3:
        return ", ".join(names)
    return f"{names[0]}, {names[1]} and {len(names) - 2} more"
