"""How sparse a model is to be: the three ways in which users say it."""

import keras

from dsr_tf.core import distribution as distributions
from dsr_tf.core.budget import Budget
from dsr_tf.core.checks import is_integer
from dsr_tf.layers import MaskedWeight
from dsr_tf.layers.summary import sparsity_summary

_SHARES = ("masked", "model")


class Target:
    """The number of active weights that a model is to have.

    Args:
        sparsity: Share of inactive weights, or None.
        parameters: Number of active parameters of the model, or None.
        sparsity_of: What `sparsity` is a share of: `"masked"`, the kernels
            that become masked, or `"model"`, all parameters of the model.
        is_given: Whether the distribution has the sparsity of every kernel,
            so that there is nothing left to say.

    Raises:
        ValueError: if an argument is out of range, or not exactly one of
            them says how sparse the model is to be.
    """

    def __init__(
        self,
        sparsity: float | None,
        parameters: int | None,
        sparsity_of: str,
        is_given: bool = False,
    ) -> None:
        if sparsity_of not in _SHARES:
            raise ValueError(
                f"`sparsity_of` must be one of {', '.join(_SHARES)}. "
                f"Received: sparsity_of={sparsity_of!r}"
            )
        received = f"sparsity={sparsity!r} and parameters={parameters!r}"
        if is_given and not (sparsity is None and parameters is None):
            raise ValueError(
                "`distribution` with a sparsity for the 'rest' has that of "
                "every kernel; then neither `sparsity` nor `parameters` can be "
                f"given. Received: {received}"
            )
        if not is_given and (sparsity is None) == (parameters is None):
            raise ValueError(
                "Exactly one of `sparsity` and `parameters` must be given (or "
                "a `distribution` with a sparsity for the 'rest'). Received: "
                f"{received}"
            )
        if sparsity is None and sparsity_of != "masked":
            raise ValueError(
                "`sparsity_of` says what `sparsity` is a share of, and needs "
                f"that argument. Received: sparsity_of={sparsity_of!r}"
            )
        if sparsity is not None:
            sparsity = distributions.check_sparsity(sparsity)
        if parameters is not None and (
            not is_integer(parameters) or parameters < 1
        ):
            raise ValueError(
                "`parameters` must be a positive integer, the number of active "
                f"parameters of the model. Received: parameters={parameters!r}"
            )
        self.sparsity, self.parameters = sparsity, parameters
        self._is_of_model = sparsity_of == "model"
        self._is_given = is_given

    @property
    def layer_sparsity(self) -> float:
        """What layers are made with, until their masks are set."""
        if self.sparsity is None or self._is_of_model:
            return 0.0
        return self.sparsity

    def budget(
        self, model: keras.Model, weights: list[MaskedWeight]
    ) -> Budget | None:
        """The number of active weights of the kernels that become masked.

        Args:
            model: The model, with all its layers and parameters.
            weights: List of the `MaskedWeight` that get new masks; others
                of the model keep theirs.

        Returns:
            A `Budget`; None where the distribution gives it.

        Raises:
            ValueError: if what stays as it is exceeds the target, or the
                model has fewer parameters.
        """
        if self._is_given:
            return None
        size = sum(weight.size for weight in weights)
        if self.sparsity is not None and not self._is_of_model:
            return Budget(
                distributions.num_active_groups(size, self.sparsity),
                f"sparsity={self.sparsity}",
            )
        summary = sparsity_summary(model)
        fixed = summary.num_active_parameters - sum(
            weight.num_active for weight in weights
        )
        if self.sparsity is None:
            wanted, received = self.parameters, f"parameters={self.parameters}"
        else:
            wanted = distributions.num_active_groups(
                summary.num_parameters, self.sparsity
            )
            received = f"sparsity={self.sparsity}, sparsity_of='model'"
        assert wanted is not None
        least = fixed + sum(weight.group_size for weight in weights)
        if not least <= wanted <= fixed + size:
            raise ValueError(
                f"Model '{model.name}' can have from {least} to {fixed + size} "
                f"active parameters (a sparsity of at most "
                f"{_down(1 - least / summary.num_parameters)} of the model): "
                f"{fixed} of its {summary.num_parameters} parameters are not "
                f"in the {len(weights)} kernels that get a mask, each of which "
                f"keeps a group. Asked for were {wanted}. Received: {received}"
            )
        return Budget(wanted - fixed, received)


def _down(sparsity: float) -> str:
    """A sparsity with four digits, none of them rounded up."""
    return f"{int(sparsity * 1e4) / 1e4:.4f}"
