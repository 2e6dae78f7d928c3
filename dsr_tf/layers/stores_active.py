"""What layers that can store active weights only have in common."""

from typing import Any

from dsr_tf.layers.storages import MASKED

# Stands for the Keras layer among the bases, whose methods a mixin calls.
_KerasLayer: Any = object


class StoresActive(_KerasLayer):
    """Mixin for masked layers that have other storages, too."""

    name: str
    storage: str

    def __dir__(self) -> list[str]:
        # Keras reads all of these when it saves and loads, as it looks for
        # layers, which would make whole kernels.
        names = list(super().__dir__())
        if vars(self).get("storage", MASKED) != MASKED:
            hidden = vars(self)["masked_variables"]
            names = [name for name in names if name not in hidden]
        return names

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
