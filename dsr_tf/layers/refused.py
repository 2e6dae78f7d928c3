"""What Keras' layers can do, and those that store active weights cannot."""

from typing import Any

from dsr_tf.layers.storages import MASKED

# Stands for the Keras layer among the bases, whose methods a mixin calls.
_KerasLayer: Any = object


class RefusesWhereStored(_KerasLayer):
    """Mixin for masked layers that have other storages, too."""

    name: str
    storage: str

    def enable_lora(self, *args: Any, **kwargs: Any) -> None:
        self._refuse_if_stored("LoRA")
        super().enable_lora(*args, **kwargs)

    def quantize(self, *args: Any, **kwargs: Any) -> None:
        self._refuse_if_stored("quantization")
        super().quantize(*args, **kwargs)

    def _refuse_if_stored(self, what: str) -> None:
        if self.storage != MASKED:
            raise ValueError(
                f"Layer '{self.name}' stores its active weights only, which "
                f"{what} has no place for. Received: storage={self.storage!r}"
            )
