"""The callback that reallocates weights during `model.fit`."""

import keras
from absl import logging
from keras import ops

from dsr_tf import draws
from dsr_tf.callbacks.replicas import check_replicas
from dsr_tf.checks import is_integer
from dsr_tf.layers import mask_density
from dsr_tf.reallocation.method import Method
from dsr_tf.reallocation.methods import DSR
from dsr_tf.reallocation.reallocator import Reallocator
from dsr_tf.schedule import Schedule


class Reallocation(keras.callbacks.Callback):
    """Moves the active weights of a model every `period` updates.

    The number of active weights never changes. A reallocation takes place
    before the next batch once `optimizer.iterations` has reached a multiple
    of the period, as in the authors' code, so never between the last update
    and the end of training: newly grown weights are always trained before
    they are evaluated. With `steps_per_execution` above 1 it is the first
    execution at or after the multiple, exactly the multiple where the
    period is divisible by it.

    All state lives in variables of the model (`ReallocationState`): a model
    restored from any kind of checkpoint goes on where it was.

    At the end of each epoch `logs` gains `mask_density`, `num_reallocated`
    (weights moved in the epoch's last reallocation, 0 if there was none)
    and, where the method has one, `threshold`.

    Args:
        method: A `dsr_tf.methods.Method`, such as `dsr_tf.methods.DSR()`.
        period: Updates between two reallocations: an integer, or a schedule
            `{first_epoch: integer}` with epochs counted from 0.
        stop_epoch: First epoch (from 0) without reallocation; None for
            never.
        seed: Integer that random growth depends on. None draws one and
            keeps it in the model.
        listener: Callable that receives the `Record` of each reallocation.

    Raises:
        ValueError: if an argument is out of range; when training begins, if
            the model has no masked layers, or too few active weights for
            the method, or the optimizer cannot keep weights at 0.
        TypeError: if `method` is not a method.

    Example:

    >>> model = dsr_tf.sparsify(model, 0.9)
    >>> model.compile("sgd", "mse")
    >>> method = dsr_tf.methods.DSR(num_reallocated=600)
    >>> reallocation = dsr_tf.callbacks.Reallocation(method, period=100)
    >>> model.fit(x, y, callbacks=[reallocation])
    """

    def __init__(
        self, method, period, stop_epoch=None, seed=None, listener=None
    ):
        super().__init__()
        if not isinstance(method, Method):
            raise TypeError(
                "`method` must be an instance of a method of "
                f"`dsr_tf.methods`, such as DSR(). Received: method={method!r}"
            )
        if stop_epoch is not None and (
            not is_integer(stop_epoch) or stop_epoch < 0
        ):
            raise ValueError(
                "`stop_epoch` must be None or an integer of at least 0. "
                f"Received: stop_epoch={stop_epoch!r}"
            )
        if seed is not None:
            draws.check_seed(seed)
        if listener is not None and not callable(listener):
            raise TypeError(
                "`listener` must be None or callable. "
                f"Received: listener={listener!r}"
            )
        self.method = method
        self.period = Schedule(period, "period", integer=True)
        self.stop_epoch = stop_epoch
        self.seed = seed
        self.listener = listener
        self._epoch = 0
        self._calls_to_skip = 0
        self._last_record = None
        self._reallocator = None
        self._warned = False

    def check(self, model):
        """Refuse a compiled model that this callback cannot train.

        Raises:
            ValueError: as described for the class.
        """
        if self._reallocator is None or not self._reallocator.serves(model):
            self._reallocator = Reallocator(model, self.method)
        self._reallocator.check(model.optimizer)

    def on_train_begin(self, logs=None):
        # A subclassed model may be built by its first batch only.
        if self.model.built:
            self._start()
        else:
            self._reallocator = None

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch
        self._calls_to_skip = 0
        self._last_record = None
        if self._reallocator is not None:
            self._reallocator.begin_epoch(epoch)

    def on_train_batch_begin(self, batch, logs=None):
        if self._calls_to_skip > 0:
            self._calls_to_skip -= 1
            return
        self._look()

    def on_epoch_end(self, epoch, logs=None):
        if self._reallocator is None:
            return
        self._reallocator.clean()
        if logs is None:
            return
        logs["mask_density"] = mask_density(self._reallocator.masked)
        if self.method.moves_weights:
            record = self._last_record
            logs["num_reallocated"] = record.num_grown if record else 0
            threshold = self.method.threshold(self._reallocator.read_state())
            if threshold is not None:
                logs["threshold"] = threshold

    def on_train_end(self, logs=None):
        if self._reallocator is not None:
            self._reallocator.clean()
            self._reallocator.close_window(self._step())

    def _start(self):
        check_replicas(self.model, self.params)
        self.check(self.model)
        self._reallocator.install()
        self._reallocator.begin_epoch(self._epoch)

    def _step(self):
        return int(ops.convert_to_numpy(self.model.optimizer.iterations))

    def _look(self):
        """See whether a reallocation is due, and when to look again.

        Reading the number of updates waits for the device, so it is read
        only where the next multiple of the period can have been reached.
        """
        if self._reallocator is None:
            if not self.model.built:
                return
            self._start()
        if not self.method.moves_weights:
            self._calls_to_skip = float("inf")
            return
        step = self._step()
        state = self._reallocator.read_state()
        self._begin(state, step)
        if self._is_over(step):
            self._reallocator.close_window(step)
            self._calls_to_skip = float("inf")
            return

        period = self.period(self._epoch)
        if step // period > state.last_step // period:
            self._reallocate(state, step)
        steps_to_go = period - step % period
        self._reallocator.open_window(state, step, step + steps_to_go)
        steps_per_call = self.model.steps_per_execution
        self._warn_if_late(period, steps_per_call)
        if self._reallocator.looks_before() and steps_to_go > 1:
            steps_to_go -= 1
        self._calls_to_skip = -(-steps_to_go // steps_per_call) - 1

    def _is_over(self, step):
        stopped = self.stop_epoch is not None and self._epoch >= self.stop_epoch
        return stopped or self.method.is_over(step)

    def _reallocate(self, state, step):
        if not self._reallocator.is_ready(state, step):
            state.last_step = step
            return
        record = self._reallocator.step(self.model.optimizer, step, state)
        self._last_record = record
        if self.listener is not None:
            self.listener(record)

    def _begin(self, state, step):
        """Settle the seed and the step that reallocation counts from."""
        if self.seed is not None:
            seed = self.seed
        else:
            seed = draws.check_seed(state.seed)
        # A model that trained without reallocation so far has not missed
        # any; and a new optimizer starts to count from 0 again.
        last_step = state.last_step
        if state.seed is None or step < last_step:
            last_step = step
        if (seed, last_step) != (state.seed, state.last_step):
            state.seed, state.last_step = seed, last_step
            self._reallocator.write_state(state)

    def _warn_if_late(self, period, steps_per_call):
        if period % steps_per_call and not self._warned:
            self._warned = True
            logging.warning(
                "Reallocation: the period %d is not divisible by "
                "steps_per_execution=%d, so reallocations happen at the "
                "first execution after each multiple of the period.",
                period,
                steps_per_call,
            )


class DynamicSparseReparameterization(Reallocation):
    """`Reallocation` by DSR (Mostafa & Wang, ICML 2019), in one call.

    Args:
        num_reallocated: K, the number of weights to move each time.
        period: Updates between two reallocations, an integer or a schedule
            `{first_epoch: integer}`.
        tolerance: delta, how far from K is near enough, in [0, 1).
        initial_threshold: Magnitude below which weights are pruned first.
        stop_epoch: First epoch (from 0) without reallocation, or None.
        seed: Integer that random growth depends on, or None.
        listener: Callable that receives the `Record` of each reallocation.

    Raises:
        ValueError: as `Reallocation` and `dsr_tf.methods.DSR`.
    """

    def __init__(
        self,
        num_reallocated=600,
        period=100,
        tolerance=0.1,
        initial_threshold=1e-3,
        stop_epoch=None,
        seed=None,
        listener=None,
    ):
        super().__init__(
            DSR(num_reallocated, tolerance, initial_threshold),
            period,
            stop_epoch=stop_epoch,
            seed=seed,
            listener=listener,
        )
