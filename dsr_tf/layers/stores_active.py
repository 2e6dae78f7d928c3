"""What layers that can store active weights only have in common."""

from typing import Any
from typing import ClassVar

from dsr_tf.layers.masked import Masked
from dsr_tf.layers.storages import MASKED


class StoresActive(Masked):
    """Mixin for masked layers that have other storages, too.

    Attributes:
        has_many_rows: Whether an example is many rows that are multiplied,
            such as the positions of an image or a sequence. A batch of them
            is not in a cache when it is read again.
    """

    has_many_rows: ClassVar[bool] = False

    def reason_to_stay_masked(self) -> str:
        """Why this layer can have none of the other `storages` of its kind;
        `""` if it can."""
        return ""

    def __dir__(self) -> list[str]:
        # Keras reads all of these when it saves and loads, as it looks for
        # layers, which would make whole kernels.
        names = list(super().__dir__())
        if vars(self).get("storage", MASKED) != MASKED:
            hidden = vars(self)["masked_variables"]
            names = [name for name in names if name not in hidden]
        return names

    def __getattr__(self, name: str) -> Any:
        # Called for what is not there, such as the mask of stored weights.
        # (`hasattr` says so, which takes an AttributeError.)
        for weight in vars(self).get("masked_variables", {}).values():
            if weight.is_stored and name == weight.mask_name:
                try:
                    return weight.mask
                except ValueError as error:
                    raise AttributeError(str(error)) from None
        # Once more, for the error.
        return super().__getattribute__(name)

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
