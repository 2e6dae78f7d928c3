"""RigL: growth where the loss falls fastest."""

import dataclasses

from dsr_tf.methods.annealed import Annealed


@dataclasses.dataclass(frozen=True)
class RigL(Annealed):
    """The rigged lottery (Evci et al., ICML 2020).

    Prunes the smallest weights of every kernel and grows, in the same
    kernel, the inactive ones with the largest gradient of the loss. That
    gradient is the one of the step before the reallocation, on its batch;
    in that step only, gradients reach inactive weights, so all other steps
    cost what they cost with fixed masks. (Gradient clipping by a global
    norm sees the whole gradient in that step.) With granularity N:M each
    bundle of M weights grows what it loses, as with `SET`. Of layers that
    store active weights only, that step finds the largest gradients of the
    others and keeps no more of them than could grow.

    Args:
        fraction: alpha, share of the active weights of each kernel to move
            at the start, in (0, 1); 0.3 in the paper.
        end_step: T_end, the update from which nothing moves; the share
            falls to 0 there along a cosine. The paper stops after three
            quarters of the training, as `"auto"` does. None keeps the share
            constant.
        start_step: The update at which it begins to fall.

    Raises:
        ValueError: if an argument is out of range.
    """

    flag_name = "rigl"
    keeps_patterns = True
    default_end = 3 / 4
