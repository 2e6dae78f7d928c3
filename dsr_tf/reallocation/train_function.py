"""The compiled training function of a model, with hooks in it and without."""

import keras


class TrainFunction:
    """Exchanges a model's training function while something is hooked in.

    Keras compiles what a layer does when a step is first run. A function
    from before the hooks came would run without them, and one from their
    time would keep them; so there are two, of which each is compiled once,
    in however many calls of `fit`.

    Args:
        model: The Keras model that is trained, perhaps not by `fit`.
    """

    def __init__(self, model: keras.Model) -> None:
        self._model = model
        self._plain = self._hooked = None

    def use_hooked(self) -> None:
        """Train with what is hooked in now."""
        plain = getattr(self._model, "train_function", None)
        is_known = plain is not None and plain is self._plain
        self._plain = plain
        if plain is None:
            # Whoever makes one will make it with the hooks.
            return
        if is_known and self._hooked is not None:
            self._model.train_function = self._hooked
            return
        self._model.make_train_function(force=True)
        self._hooked = self._model.train_function

    def use_plain(self) -> None:
        """Train as before, once nothing is hooked in any more."""
        now = getattr(self._model, "train_function", None)
        # Another one has been made since, perhaps by `compile` and `fit`; it
        # has the hooks only if it was made for want of one.
        if now is not None and (now is self._hooked or self._plain is None):
            self._model.train_function = self._plain
