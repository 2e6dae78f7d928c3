"""The compiled training function of a model, with hooks in it and without."""

from typing import Any

import keras


class TrainFunction:
    """Exchanges a model's training function while something is hooked in.

    Keras compiles what a layer does when a step is first run. A function
    from before the hooks came would run without them, and one from their
    time would keep them; so there are two, of which each is compiled once,
    in however many calls of `fit`.

    On JAX, Keras compiles the method `train_step`, and JAX takes that for the
    same each time it is asked for: while anything keeps what it was compiled
    to, a function made anew goes on with that, without new hooks and with the
    loss of before. So there the two are made of functions of their own, and
    none that Keras has made is kept.

    Args:
        model: The Keras model that is trained, perhaps not by `fit`.
    """

    def __init__(self, model: keras.Model) -> None:
        self._model = model
        self._plain = self._hooked = None

    def use_hooked(self) -> None:
        """Train with what is hooked in now."""
        plain = getattr(self._model, "train_function", None)
        if plain is None:
            # Whoever makes one will make it with the hooks.
            self._plain = self._hooked = None
            return
        if plain is not self._plain or self._hooked is None:
            is_jax = keras.backend.backend() == "jax"
            self._plain = self._make() if is_jax else plain
            self._hooked = self._make()
        self._model.train_function = self._hooked

    def use_plain(self) -> None:
        """Train as before, once nothing is hooked in any more."""
        now = getattr(self._model, "train_function", None)
        if now is self._hooked:
            self._model.train_function = self._plain
        elif now is not self._plain:
            # Made since, perhaps by `compile` and `fit`, and with the hooks.
            self._model.train_function = None

    def _make(self) -> Any:
        model, own = self._model, vars(self._model)
        if keras.backend.backend() != "jax":
            model.make_train_function(force=True)
            return model.train_function
        method, given = model.train_step, own.get("train_step")

        def train_step(*arguments: Any) -> Any:
            return method(*arguments)

        # Not by `setattr`, which Keras watches.
        own["train_step"] = train_step
        try:
            model.make_train_function(force=True)
        finally:
            if given is None:
                del own["train_step"]
            else:
                own["train_step"] = given
        return model.train_function
