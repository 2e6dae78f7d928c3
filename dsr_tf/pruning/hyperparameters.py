"""The settings of gradual pruning, by the names of tf.contrib."""

import dataclasses
import re
from typing import Any
from typing import NoReturn

from absl import logging

from dsr_tf.core.checks import is_integer
from dsr_tf.core.checks import is_number
from dsr_tf.pruning import by_path
from dsr_tf.pruning import named_values

_POOLINGS = ("AVG", "MAX")
# Names of that library that have no meaning here, with the reason.
_WITHOUT_EFFECT = {
    "name": "names nothing here",
    "nbins": "thresholds are exact, not read off a histogram",
    "use_tpu": "there is no other way for TPUs",
}


@dataclasses.dataclass(frozen=True)
class PruningHyperparameters:
    """Settings of `tf.contrib.model_pruning`, same names and defaults.

    Args:
        begin_pruning_step: First update at which weights may be pruned.
        end_pruning_step: Last such update; -1 for no end.
        pruning_frequency: Updates between two prunings.
        initial_sparsity: s_i, where the sparsity starts, in [0, 1).
        target_sparsity: s_f, where it ends, in [0, 1).
        sparsity_function_begin_step: t_0, update at which it leaves s_i.
        sparsity_function_end_step: Update at which it reaches s_f.
        sparsity_function_exponent: Power of the fall; 3 in the paper.
        weight_sparsity_map: Dict `{regular expression: target}`, or a list
            of strings `"expression:target"`, for kernels whose path it is
            found in; their sparsity is in proportion to the others'.
        threshold_decay: Part of the last threshold in the new one, [0, 1).
            Above 0, more weights stay than the sparsity says until the
            threshold has caught up.
        block_height: Rows of the blocks, of the matrix of a kernel's last
            two axes, that are pruned as one; for kernels that are matrices.
        block_width: Columns of the blocks.
        block_pooling_function: What of the magnitudes in a block counts:
            `"AVG"` or `"MAX"`.

    Raises:
        ValueError: if an argument is out of range.
    """

    begin_pruning_step: int = 0
    end_pruning_step: int = -1
    pruning_frequency: int = 10
    initial_sparsity: float = 0.0
    target_sparsity: float = 0.5
    sparsity_function_begin_step: int = 0
    sparsity_function_end_step: int = 100
    sparsity_function_exponent: float = 3.0
    weight_sparsity_map: Any = None
    threshold_decay: float = 0.0
    block_height: int = 1
    block_width: int = 1
    block_pooling_function: str = "AVG"

    def __post_init__(self) -> None:
        for name, least in (
            ("begin_pruning_step", 0),
            ("end_pruning_step", -1),
            ("pruning_frequency", 1),
            ("sparsity_function_begin_step", 0),
            ("sparsity_function_end_step", 1),
            ("block_height", 1),
            ("block_width", 1),
        ):
            value = getattr(self, name)
            if not is_integer(value) or value < least:
                self._refuse(name, f"an integer of at least {least}")
        for name in ("initial_sparsity", "target_sparsity", "threshold_decay"):
            value = getattr(self, name)
            if not is_number(value) or not 0 <= value < 1:
                self._refuse(name, "a number in [0, 1)")
        if self.initial_sparsity > self.target_sparsity:
            self._refuse(
                "initial_sparsity",
                f"at most the target_sparsity, {self.target_sparsity}",
            )
        exponent = self.sparsity_function_exponent
        if not is_number(exponent) or not exponent > 0:
            self._refuse("sparsity_function_exponent", "a positive number")
        if self.sparsity_function_end_step <= self.sparsity_function_begin_step:
            self._refuse(
                "sparsity_function_end_step",
                "after sparsity_function_begin_step, "
                f"{self.sparsity_function_begin_step}",
            )
        if 0 <= self.end_pruning_step < self.begin_pruning_step:
            self._refuse(
                "end_pruning_step",
                f"-1, or not before begin_pruning_step, "
                f"{self.begin_pruning_step}",
            )
        if self.block_pooling_function not in _POOLINGS:
            self._refuse("block_pooling_function", " or ".join(_POOLINGS))
        object.__setattr__(self, "weight_sparsity_map", self._read_map())

    @classmethod
    def parse(cls, text: str, **defaults: Any) -> "PruningHyperparameters":
        """From a comma-separated list `name=value`, as that library's flag.

        Lists stand in brackets: `weight_sparsity_map=[fc1:0.9,fc2:0.8]`.
        Names that have no effect here are accepted and logged.

        Args:
            text: The list.
            **defaults: Values for what the list does not name.

        Raises:
            ValueError: if a name is unknown or a value out of range.
        """
        for name, _ in named_values.split(text):
            if name in _WITHOUT_EFFECT:
                logging.info("%s: ignored, %s", name, _WITHOUT_EFFECT[name])
        values = named_values.parse(cls, text, _WITHOUT_EFFECT)
        return cls(**{**defaults, **values})

    def __str__(self) -> str:
        """The comma-separated list that `parse` reads."""
        values = dataclasses.asdict(self)
        pairs = [f"{k}:{v}" for k, v in self.weight_sparsity_map.items()]
        values["weight_sparsity_map"] = f"[{','.join(pairs)}]"
        return ",".join(f"{name}={value}" for name, value in values.items())

    def scaled(self, factor: float) -> "PruningHyperparameters":
        """The same with every number of steps multiplied by `factor`."""
        steps: dict[str, Any] = {
            name: max(least, round(getattr(self, name) * factor))
            for name, least in (
                ("begin_pruning_step", 0),
                ("pruning_frequency", 1),
                ("sparsity_function_begin_step", 0),
                ("sparsity_function_end_step", 1),
            )
        }
        if self.end_pruning_step >= 0:
            steps["end_pruning_step"] = round(self.end_pruning_step * factor)
        return dataclasses.replace(self, **steps)

    def sparsity_at(self, step: int) -> float:
        """s_t = s_f + (s_i - s_f) * (1 - (t - t_0) / (n * dt)) ** exponent.

        Zhu & Gupta (2017), equation 1; constant before and after.
        """
        begin = self.sparsity_function_begin_step
        length = self.sparsity_function_end_step - begin
        part = min(1.0, max(0.0, (step - begin) / length))
        fall = (1 - part) ** self.sparsity_function_exponent
        return self.target_sparsity + fall * (
            self.initial_sparsity - self.target_sparsity
        )

    def sparsity_of(self, path: str, step: int) -> float:
        """The sparsity of the kernel of that path after `step` updates.

        Raises:
            ValueError: if several expressions match the path.
        """
        sparsity = self.sparsity_at(step)
        targets = [
            target
            for pattern, target in self.weight_sparsity_map.items()
            if re.search(pattern, path)
        ]
        if len(targets) > 1:
            raise ValueError(
                f"`weight_sparsity_map` must match each kernel once. {path} "
                f"is matched by several of {list(self.weight_sparsity_map)}"
            )
        if not targets:
            return sparsity
        if not self.target_sparsity:
            return targets[0]
        return sparsity * targets[0] / self.target_sparsity

    def is_due(self, step: int, last_step: int) -> bool:
        """Whether to prune at `step`, the last pruning being at another."""
        ended = 0 <= self.end_pruning_step < step
        begun = step >= self.begin_pruning_step
        return (
            begun and not ended and step >= last_step + self.pruning_frequency
        )

    def next_due(self, step: int, last_step: int) -> int | None:
        """The first update after `step` at which to prune, None for none."""
        due = max(
            step + 1,
            self.begin_pruning_step,
            last_step + self.pruning_frequency,
        )
        return None if 0 <= self.end_pruning_step < due else due

    def _read_map(self) -> dict[str, float]:
        given = self.weight_sparsity_map
        if given is None:
            return {}
        try:
            sparsities = by_path.by_expression(given)
            if all(is_number(v) and 0 <= v < 1 for v in sparsities.values()):
                return sparsities
        except ValueError:
            pass
        self._refuse(
            "weight_sparsity_map",
            "a dict {expression: sparsity}, or a list of expression:sparsity, "
            "each in [0, 1)",
        )

    def _refuse(self, name: str, accepted: str) -> NoReturn:
        raise ValueError(
            f"`{name}` must be {accepted}. Received: "
            f"{name}={getattr(self, name)!r}"
        ) from None
