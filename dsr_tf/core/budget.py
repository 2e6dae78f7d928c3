"""How many weights are active: a number, and who asked for it."""

import dataclasses
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True)
class Budget:
    """A number of active weights, to be shared by several kernels.

    Attributes:
        num_weights: The number.
        received: The argument that it follows from, as messages give it:
            `"sparsity=0.9"`.
    """

    num_weights: int
    received: str

    def check_holds(self, group_sizes: Sequence[int]) -> None:
        """Refuse a budget that is less than one group of each kernel.

        Args:
            group_sizes: Weights a group of each kernel.

        Raises:
            ValueError: if it is.
        """
        if self.num_weights < sum(group_sizes):
            raise ValueError(
                f"A budget of {self.num_weights} active weights cannot give "
                f"each of {len(group_sizes)} kernels an active group, which "
                f"takes {sum(group_sizes)}: take a lower sparsity, or smaller "
                f"groups of weights. Received: {self.received}"
            )
