"""What methods have in common that remove whole channels, in phases.

Such a method is two runs, or three. In the first, `--phase=penalty`, a
penalty makes channels small, if the method has one. The other begins with
the weights of `--initial_checkpoint`, chooses channels, removes the rest
before step 0, and trains the plain dense network that is left.
"""

from typing import Any

import keras

from dsr_tf.command_line import UsageError
from dsr_tf.command_line import naming_flags
from dsr_tf.recipes.budget import count
from dsr_tf.recipes.budget import num_active
from dsr_tf.recipes.budget import parse_share
from dsr_tf.recipes.recipe import Recipe
from dsr_tf.structure import cost

# Of the channels that stay: one number, or some by regular expressions.
Share = float | dict[str, float]
PENALTY, NARROW = "penalty", "narrow"
_DOES = {
    PENALTY: "training with its penalty",
    NARROW: "training what it leaves",
}


class Narrowing(Recipe):
    """Base of recipes that make a trained network narrower.

    Attributes:
        strength: Strength of the penalty in the first phase if flags give
            none; None for a method without penalty.
        amounts: Flags that say how much stays, and as which argument
            `narrow` gets that.
    """

    has_phases = True
    strength: float | None = None
    amounts = {
        "parameter_budget": "parameters",
        "mac_budget": "macs",
        "keep_share": "share",
    }

    def penalize(
        self, experiment: Any, dense: keras.Model, strength: float
    ) -> keras.Model:
        """The network with the penalty of the method.

        Args:
            strength: Positive number.
        """
        raise NotImplementedError

    def narrow(
        self, experiment: Any, dense: keras.Model, images: Any, **amount: Any
    ) -> keras.Model:
        """The network without some of its channels.

        Args:
            dense: The trained network.
            images: See `Recipe.prepare`.
            **amount: One of `parameters` and `macs`, how many the network
                may have, or `share`, of the channels that stay: a number in
                (0, 1], or a dict `{regular expression: number}`.

        Raises:
            ValueError: if no network of that method is so small; the
                message names the argument.
        """
        raise NotImplementedError

    def check(self, experiment: Any) -> None:
        given = [name for name in self.amounts if _is_given(experiment, name)]
        if len(given) > 1:
            first, second, *_ = given
            raise UsageError(
                f"flag --{second}={getattr(experiment, second)}: says how "
                f"much stays, as --{first} does; give one of the two"
            )
        phase = self._phase(experiment)
        if phase == PENALTY and self.strength is None:
            raise UsageError(
                f"flag --phase={PENALTY}: --method={self.name} has no "
                f"penalty; give {NARROW}, or --method=dense"
            )
        if phase == NARROW and not experiment.initial_checkpoint:
            raise UsageError(
                f"flag --initial_checkpoint is required: the run whose "
                f"trained network --method={self.name} is to narrow"
            )

    def why_unused(self, experiment: Any, amount: str) -> str:
        if amount in self.amounts and not self.prepares(experiment):
            return (
                f"--method={self.name} uses it in --phase={NARROW} only, "
                "which needs --initial_checkpoint"
            )
        return super().why_unused(experiment, amount)

    def phase(self, experiment: Any) -> str:
        return _DOES[self._phase(experiment)]

    def _phase(self, experiment: Any) -> str:
        if experiment.phase is not None:
            return experiment.phase
        has_penalty = self.strength is not None
        starts_anew = has_penalty and not experiment.initial_checkpoint
        return PENALTY if starts_anew else NARROW

    def has_density(self, experiment: Any) -> bool:
        return self.prepares(experiment) and not self.has_amount(experiment)

    def has_amount(self, experiment: Any) -> bool:
        """Whether a flag says how much stays."""
        return any(_is_given(experiment, name) for name in self.amounts)

    def prepares(self, experiment: Any) -> bool:
        return self._phase(experiment) == NARROW

    def prepare(
        self, experiment: Any, dense: keras.Model, images: Any
    ) -> keras.Model:
        flag, amount = self.amount(experiment, dense)
        given = getattr(experiment, flag)
        values = {
            flag: amount if given is None else given,
            "num_examples": experiment.num_examples,
            "method": self.name,
        }
        # What is not about an amount is that the method does not fit.
        with naming_flags(values, "method"):
            return self.narrow(
                experiment, dense, images, **{self.amounts[flag]: amount}
            )

    def amount(
        self, experiment: Any, dense: keras.Model
    ) -> tuple[str, int | Share | None]:
        """How much stays.

        Returns:
            Name of the flag that says it, and the number of it. Where no flag
            does, as many parameters as are active in the sparse network of
            the same flags, as `--method=thin` has.
        """
        if _is_given(experiment, "keep_share"):
            return "keep_share", parse_share(experiment.keep_share)
        whole = cost(dense)
        for flag, own in (
            ("mac_budget", whole.macs),
            ("parameter_budget", whole.parameters),
        ):
            budget = count(getattr(experiment, flag), own)
            if budget is not None and budget > own:
                raise UsageError(
                    f"flag --{flag}={budget}: more than the {own} that "
                    f"{experiment.model} has, so no channel would go"
                )
            if budget is not None:
                return flag, budget
        return "parameter_budget", num_active(experiment, dense)

    def convert(self, experiment: Any, dense: keras.Model) -> keras.Model:
        if self.prepares(experiment):
            return dense
        strength: Any = experiment.penalty or self.strength
        return self.penalize(experiment, dense, strength)


def examples(experiment: Any, images: Any) -> Any:
    """The training images that a method looks at, `--num_examples` of them.

    Args:
        images: See `Recipe.prepare`.

    Returns:
        `tf.data.Dataset` of batches; the last may be smaller.
    """
    chosen = images.unbatch().take(experiment.num_examples)
    return chosen.batch(experiment.batch_size)


def _is_given(experiment: Any, name: str) -> bool:
    return getattr(experiment, name) is not None
