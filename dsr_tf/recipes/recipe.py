"""What a recipe is: all that commands and runs know of a `--method`."""

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Sequence
from typing import Any

import keras

from dsr_tf import conversion
from dsr_tf import structure
from dsr_tf.layers import masked_weights
from dsr_tf.proximal import Rule
from dsr_tf.recipes.network import Network


class Recipe:
    """Base of the recipes, and by itself one that changes nothing.

    A run builds the dense network of the width that the recipe says, draws
    or loads its weights, and converts it. Before that, the recipe may make
    another network of it (`prepare`), from those weights and training
    images. The callback, if there is one, then acts while it trains. In what
    follows, `experiment` is an object with an attribute for each flag of a
    run.

    Attributes:
        name: The value of `--method`.
        has_masks: Whether kernels have masks, which another run can copy.
        stores_active: Whether layers may store active weights only, as
            `--storage` says.
        has_phases: Whether `--phase` means anything to it.
        is_reference: Whether other methods are compared with it, as with the
            dense network.
        named_flag: The flag that a message names where the callback does
            not fit the model; None for the flag that is called as the
            argument that does not fit.
        why_uncounted: What it multiplies beside the steps of training, in a
            few words, if that is more than can be left out: then nobody
            counts what a run multiplies.
        amounts: The flags that say how much of the network there is, of
            those that it uses.
    """

    name: str = ""
    has_masks = False
    stores_active = False
    has_phases = False
    is_reference = False
    named_flag: str | None = None
    why_uncounted = ""
    amounts: Collection[str] = ()

    def has_density(self, experiment: Any) -> bool:
        """Whether `--sparsity` changes anything."""
        return True

    def check(self, experiment: Any) -> None:
        """Refuse settings that do not fit, before anything is built.

        Raises:
            UsageError: if a flag must be changed.
        """

    def why_unused(self, experiment: Any, amount: str) -> str:
        """Why a flag of any recipe's `amounts` changes nothing; or empty."""
        if amount in self.amounts:
            return ""
        return f"--method={self.name} does not use it"

    def phase(self, experiment: Any) -> str:
        """What the run does, in a few words, of a method that takes several
        runs; or empty."""
        return ""

    def scaled(self, experiment: Any) -> dict:
        """Settings of its own, with `experiment.schedule_scale` worked in.

        Returns:
            Dict `{flag: value}`.
        """
        return {}

    def width(self, experiment: Any, network: Network) -> float:
        """The width of the network to build, `--width`.

        Args:
            network: The dense network, at any width.
        """
        return experiment.width

    def source(self, experiment: Any, dense: keras.Model) -> keras.Model:
        """The network whose weights `--initial_checkpoint` gives.

        Args:
            dense: The dense network, with weights that are drawn.
        """
        return dense

    def prepares(self, experiment: Any) -> bool:
        """Whether the run begins with `prepare`."""
        return False

    def prepare(
        self, experiment: Any, dense: keras.Model, images: Any
    ) -> keras.Model:
        """Another network, made of the dense one before step 0.

        It is called once in a run, and not again where one is resumed: from
        then on checkpoints hold the architecture as well. On several
        replicas it is called outside of the strategy; each worker calls it,
        and all must make the same.

        Args:
            dense: The dense network, with its initial weights.
            images: `tf.data.Dataset` of batches of (float32 images, int32
                labels): training images as they are tested, not augmented,
                in an order that depends on the seed only. One pass; each
                iteration gives the same.

        Returns:
            A network that Keras can rebuild from `to_json`, with weights.

        Raises:
            UsageError, ValueError: if a setting does not fit the model.
        """
        return dense

    def convert(self, experiment: Any, dense: keras.Model) -> keras.Model:
        """The model that trains, made of a dense one with its weights.

        Args:
            dense: The dense network, or what `prepare` has made of it. Of a
                resumed run the weights are not there yet.

        Raises:
            UsageError, ValueError: if a setting does not fit the model.
        """
        return dense

    def proximal(self, experiment: Any) -> dict[str, Rule]:
        """Proximal steps of the optimizer, see `dsr_tf.optimizers.SGD`."""
        return {}

    def callback(
        self,
        experiment: Any,
        model: keras.Model,
        steps_per_epoch: int,
        listener: Callable | None = None,
        images: Callable[[], Any] | None = None,
    ) -> keras.callbacks.Callback | None:
        """What moves or prunes weights during training; None if nothing.

        Of flags that say how weights move, a run says that it does not use
        those that `experiment` is not asked for here.

        Args:
            model: The compiled model.
            steps_per_epoch: Number of updates in an epoch.
            listener: Function that receives the `Record` of each change.
            images: Function that returns what `prepare` gets.

        Raises:
            ValueError: if a setting does not fit the model.
        """
        return None

    def steps_between(self, experiment: Any) -> Iterable[int]:
        """Numbers of updates, beside those of `--period`, whose multiples
        should each be the end of an execution of several steps."""
        return ()

    def dense_gradients(
        self,
        experiment: Any,
        num_active: int,
        moved: Sequence[int],
        num_steps: int,
        steps_per_epoch: int,
    ) -> Collection[int]:
        """Updates whose gradient is computed for inactive weights too.

        Args:
            num_active: Number of active weights of the model.
            moved: Numbers of updates before each reallocation.
            num_steps: Number of updates of the run.
            steps_per_epoch: Number of updates in an epoch.

        Returns:
            Their numbers, from 0.
        """
        return ()

    def can_narrow(self, experiment: Any) -> bool:
        """Whether `--narrow` means anything to it."""
        return self.has_masks

    def narrowed(self, experiment: Any, model: keras.Model) -> keras.Model:
        """What is written with `--narrow` of the network that has trained.

        Args:
            model: That network, not changed.

        Returns:
            It without what has become 0.
        """
        model = structure.fold_constants(model)
        model = structure.narrow(model, structure.zero_units(model))
        if all(w.num_active == w.size for w in masked_weights(model)):
            model = conversion.stripped(model)
        return model
