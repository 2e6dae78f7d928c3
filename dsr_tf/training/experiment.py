"""What a run is: its settings, checked, and what follows from them."""

import dataclasses
from collections.abc import Collection
from collections.abc import Mapping
from typing import Any

import keras
from absl import flags

from dsr_tf import recipes
from dsr_tf.command_line import UsageError
from dsr_tf.command_line import define
from dsr_tf.command_line import written
from dsr_tf.command_line.flag_kinds import LARGEST_INTEGER
from dsr_tf.command_line.flag_kinds import Steps
from dsr_tf.core import period as periods
from dsr_tf.core.draws import MAX_SEED
from dsr_tf.core.period import AUTO
from dsr_tf.core.period import AutomaticPeriod
from dsr_tf.core.schedule import Schedule
from dsr_tf.export import target
from dsr_tf.layers.storages import MASKED
from dsr_tf.models import MODELS
from dsr_tf.models import registry
from dsr_tf.training import optimizer
from dsr_tf.training.settings import Settings

# A resumed run may differ from the one it continues in these only.
FREE_TO_CHANGE = (
    "data_dir",
    "output_dir",
    "resume",
    "checkpoint_every_steps",
    "checkpoints_to_keep",
    "epochs",
    "tensorboard",
    "live",
    "strategy",
    "jit_compile",
    "steps_per_execution",
)
# Those are arguments of some networks, and do nothing with the others.
_OF_SOME_NETWORKS = ("depth", "batch_normalization", "initial_gamma")
# Settings that are objects; flags and files hold them as text.
_WRITTEN = (Schedule, AutomaticPeriod)


@dataclasses.dataclass(frozen=True)
class Experiment(Settings):
    """The settings of a run, each accepted and all fitting together."""

    def __post_init__(self) -> None:
        if keras.backend.backend() != "tensorflow":
            raise UsageError(
                f"KERAS_BACKEND={keras.backend.backend()}: runs need "
                "tensorflow; on other backends use `model.fit` with the "
                "callbacks of dsr_tf"
            )
        if not self.output_dir:
            raise UsageError(
                "flag --output_dir is required: the folder that the run "
                "writes to"
            )
        try:
            target.check_loadable(self.output_dir)
        except ValueError as error:
            raise UsageError(
                f"flag --output_dir={self.output_dir}: {error}"
            ) from error
        if self.seed > MAX_SEED:
            raise UsageError(
                f"flag --seed={self.seed}: must be at most {MAX_SEED}"
            )
        optimizer.check(self)
        for name in ("initial_checkpoint", "copy_masks_from"):
            value = getattr(self, name)
            if value and "{" in value:
                raise UsageError(
                    f"flag --{name}={value}: names a run of dsr_tf.compare; "
                    "give the folder of a run"
                )
        recipe = recipes.get(self.method)
        if self.copy_masks_from and not recipe.has_masks:
            raise UsageError(
                f"flag --copy_masks_from={self.copy_masks_from}: needs a "
                f"--method with masks, not {self.method}"
            )
        self._check_storage(recipe)
        if self.narrow and not recipe.can_narrow(self):
            raise UsageError(
                f"flag --narrow=true: needs a --method with masks, or the "
                "--phase of one whose penalty makes whole parts 0, not "
                f"{self.method}"
            )
        if self.phase and not recipe.has_phases:
            raise UsageError(
                f"flag --phase={self.phase}: needs a --method that narrows "
                f"networks, not {self.method}"
            )
        if self.initial_weights == "original" and not self.copy_masks_from:
            raise UsageError(
                "flag --initial_weights=original: are those of the run that "
                "--copy_masks_from names, and needs that flag"
            )
        recipe.check(self)
        if self.cosine and len(self.learning_rate.values) > 1:
            raise UsageError(
                f"flag --learning_rate={self.learning_rate!r}: must be one "
                "number with --cosine"
            )
        if self.sparse_shortcuts and self.keep_dense != "paper":
            raise UsageError(
                "flag --sparse_shortcuts=true: changes --keep_dense=paper; "
                f"with --keep_dense={self.keep_dense} name the layers there"
            )
        if self.strategy != "default" and self.mixed_precision == "float16":
            raise UsageError(
                "flag --mixed_precision=float16: scales the loss on one device "
                f"only; with --strategy={self.strategy} give bfloat16"
            )
        self._check_network()
        self._check_scale()

    def _check_storage(self, recipe: recipes.Recipe) -> None:
        """Refuse to store active weights only where that means nothing."""
        if self.storage != MASKED and not recipe.stores_active:
            raise UsageError(
                f"flag --storage={self.storage}: needs a --method whose "
                f"layers can store active weights only, not {self.method}"
            )
        if self.storage == MASKED and self.slack is not None:
            raise UsageError(
                f"flag --slack={self.slack:g}: is room beside active weights, "
                "and needs a --storage of these only"
            )

    def _check_network(self) -> None:
        """Refuse what is an argument of other networks only."""
        for name in _OF_SOME_NETWORKS:
            value = getattr(self, name)
            models = [m for m in MODELS if name in registry.parameters(m)]
            if value != getattr(Settings, name) and self.model not in models:
                raise UsageError(
                    f"flag --{name}={written(value)}: needs one of "
                    f"--model={','.join(models)}, not {self.model}"
                )

    def _check_scale(self) -> None:
        """Refuse a scale with which other flags have values out of range."""
        if self.schedule_scale == 1:
            return
        given = f"flag --schedule_scale={self.schedule_scale}"
        try:
            scaled = self.scaled()
        except (OverflowError, ValueError) as error:
            raise UsageError(f"{given}: goes too far ({error})") from error
        epochs = [
            scaled.epochs,
            *scaled.learning_rate.values,
            *scaled.temperature.values,
            *periods.in_updates(scaled.period, 1).values,
        ]
        if max(epochs) > LARGEST_INTEGER:
            raise UsageError(f"{given}: makes over {LARGEST_INTEGER} epochs")

    @property
    def num_slots(self) -> int:
        """How many numbers the optimizer keeps of each parameter."""
        return optimizer.num_slots(self)

    def scaled(self) -> "Experiment":
        """The experiment with `schedule_scale` worked into it."""
        scale = self.schedule_scale
        stop, end = self.stop_epoch, self.fraction_end_epoch
        return dataclasses.replace(
            self,
            schedule_scale=1.0,
            **recipes.get(self.method).scaled(self),
            fraction_end_epoch=None if end is None else round(end * scale),
            temperature=self.temperature.scaled(scale),
            warmup_epochs=self.warmup_epochs * scale,
            epochs=max(1, round(self.epochs * scale)),
            learning_rate=self.learning_rate.scaled(scale),
            period=self.period.scaled(scale),
            stop_epoch=None if stop is None else round(stop * scale),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; schedules as they are written in flags."""
        return {
            name: repr(value) if isinstance(value, _WRITTEN) else value
            for name, value in vars(self).items()
        }

    def flag_values(self) -> dict[str, Any]:
        """The settings as they are written in flags, to name in messages."""
        return {n: "" if v is None else v for n, v in self.to_dict().items()}

    def check_continues(self, other: Mapping[str, Any]) -> None:
        """Refuse to continue a run with other settings.

        Args:
            other: `to_dict` of the run that wrote the checkpoint.
        """
        found = differing(self.to_dict(), other)
        if found:
            name, value, started_with = found
            raise UsageError(
                f"flag --{name}={value}: the run in --output_dir="
                f"{self.output_dir} was started with --{name}="
                f"{started_with}, which --resume must repeat"
            )

    def check_reaches(self, num_batches: int, steps_per_epoch: int) -> None:
        """Refuse to end a run before where it is already.

        Args:
            num_batches: Number of steps behind it.
            steps_per_epoch: Number of steps in an epoch.
        """
        if num_batches > self.epochs * steps_per_epoch:
            raise UsageError(
                f"flag --epochs={self.epochs}: ends at step "
                f"{self.epochs * steps_per_epoch}, and --resume goes on from "
                f"step {num_batches} of the run in --output_dir="
                f"{self.output_dir}"
            )


def differing(
    settings: Mapping[str, Any],
    other: Mapping[str, Any],
    free: Collection[str] = FREE_TO_CHANGE,
) -> tuple[str, Any, Any] | None:
    """The first setting of a run that differs from that of another.

    Args:
        settings: A dict as `Experiment.to_dict` returns.
        other: Another one, perhaps of an earlier version with fewer flags.
        free: Names of settings that may differ.

    Returns:
        Name and both values, or None.
    """
    fields = Settings.__dataclass_fields__
    for name, value in settings.items():
        # What an earlier version had no flag for, it did as by default.
        theirs = other.get(name, fields[name].default)
        if name not in free and not _agree(name, value, theirs):
            return name, value, theirs
    return None


def _agree(name: str, value: Any, other: Any) -> bool:
    """Whether two settings, as they are written, are the same."""
    kind = Settings.__dataclass_fields__[name].metadata["kind"]
    if isinstance(kind, Steps) and value != AUTO:
        return Schedule(value, integer=kind.integer).same_as(other)
    return value == other


def names() -> list[str]:
    """The names of all flags of a run."""
    return [field.name for field in dataclasses.fields(Experiment)]


def define_flags(flag_values: flags.FlagValues) -> None:
    """Define a flag for each field of `Experiment`."""
    for field in dataclasses.fields(Experiment):
        define(
            flag_values,
            field.name,
            field.default,
            field.metadata["help"],
            field.metadata["kind"],
        )


def from_flags(flag_values: flags.FlagValues) -> Experiment:
    """The `Experiment` that parsed flags describe."""
    values = flag_values.flag_values_dict()
    return Experiment(**{name: values[name] for name in names()})
