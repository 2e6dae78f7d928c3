"""A kernel seen as groups of weights: one mask entry governs one group.

Every granularity cuts a kernel into equal blocks, some axes into single
entries, others not at all. Layers keep one mask entry for each block and
spread it over the kernel in the forward pass. Rules of reallocation never meet
a granularity: they see a score for each mask entry, and the size of a group.
With N:M there is an entry for each weight, and a `Pattern` beside it.
"""

import dataclasses
import math
from typing import Any
from typing import cast

import numpy as np
from keras import ops

from dsr_tf.core import memory
from dsr_tf.core.draws import distinct
from dsr_tf.core.one_threshold import largest_groups
from dsr_tf.core.pattern import Pattern
from dsr_tf.core.pattern import largest_of_each
from dsr_tf.core.room import Room
from dsr_tf.core.room import draw_in_bins


@dataclasses.dataclass(frozen=True)
class Grouping:
    """The blocks of one kernel.

    Attributes:
        kernel_shape: Shape of the kernel.
        block_shape: Shape of a block; each number divides the kernel's.
        pattern: How many of each M consecutive entries of the mask are
            active, where a granularity N:M says so; else None.
        room: How many groups may be active, where what stores them has slots
            for so many only; else None.
        num_column_axes: How many of the last axes are the columns of the
            matrix that inputs are multiplied by; all others are its rows.
    """

    kernel_shape: tuple[int, ...]
    block_shape: tuple[int, ...]
    pattern: Pattern | None = None
    room: Room | None = None
    num_column_axes: int = 1

    @property
    def mask_shape(self) -> tuple[int, ...]:
        """Number of blocks along each axis."""
        return tuple(
            n // block for n, block in zip(self.kernel_shape, self.block_shape)
        )

    @property
    def num_groups(self) -> int:
        return math.prod(self.mask_shape)

    @property
    def group_size(self) -> int:
        """Number of weights that one mask entry governs."""
        return math.prod(self.block_shape)

    @property
    def matrix(self) -> "Grouping | None":
        """The kernel as a matrix `(rows, columns)`, in the same groups.

        These, and the weights of each, are in the same order. None where
        they are no blocks of it.
        """
        split = len(self.kernel_shape) - self.num_column_axes
        shape, block = [], []
        for part in (slice(split), slice(split, None)):
            lengths, lengths_of_block = (
                self.kernel_shape[part],
                self.block_shape[part],
            )
            if not _are_runs(lengths, lengths_of_block):
                return None
            shape.append(math.prod(lengths))
            block.append(math.prod(lengths_of_block))
        return dataclasses.replace(
            self,
            kernel_shape=tuple(shape),
            block_shape=tuple(block),
            num_column_axes=1,
        )

    def with_room(self, num_slots: int, by_rows: bool = False) -> "Grouping":
        """The same groups, of which no more than there are slots are active.

        Args:
            num_slots: Slots of each bin, see `Room`.
            by_rows: Whether each row of a table is a bin. If not, each block
                of outputs is one where groups are blocks of a matrix, and of
                single weights there is one bin.
        """
        room = Room(num_slots)
        if by_rows:
            num_rows = self.mask_shape[0]
            room = Room(num_slots, num_rows, self.num_groups // num_rows)
        elif self.group_size > 1:
            columns = self.mask_shape[-self.num_column_axes :]
            room = Room(num_slots, math.prod(columns))
        return dataclasses.replace(self, room=room)

    def spread(self, mask: Any) -> Any:
        """The mask, a tensor, so that it multiplies the kernel.

        Axes that are one block broadcast; only blocks that are part of an
        axis need repeating.
        """
        for axis, (n, block) in enumerate(
            zip(self.kernel_shape, self.block_shape)
        ):
            if 1 < block < n:
                mask = ops.repeat(mask, block, axis=axis)
        return mask

    def kernel_of(self, places: np.ndarray, groups: np.ndarray) -> np.ndarray:
        """The kernel that has these groups, and zeros elsewhere.

        Args:
            places: Integer array of places of groups.
            groups: Array `(len(places), group_size)`.

        Returns:
            Array of shape `kernel_shape`.
        """
        whole = np.zeros((self.num_groups, self.group_size), groups.dtype)
        whole[places] = groups
        return self.ungroup(whole)

    def groups(self, kernel: np.ndarray) -> np.ndarray:
        """The array `kernel` as `(num_groups, group_size)`.

        Row i holds the weights of entry i of the flattened mask.
        """
        if self.group_size == 1:
            return kernel.reshape(-1, 1)
        blocks = kernel.reshape(self._interleaved)
        return blocks.transpose(self._blocks_last).reshape(-1, self.group_size)

    def ungroup(self, groups: np.ndarray) -> np.ndarray:
        """The inverse of `groups`: an array of shape `kernel_shape`."""
        if self.group_size == 1:
            return groups.reshape(self.kernel_shape)
        blocks = groups.reshape(*self.mask_shape, *self.block_shape)
        back = np.argsort(self._blocks_last)
        return blocks.transpose(back).reshape(self.kernel_shape)

    def scores_of(self, kernel: Any) -> Any:
        """Mean magnitude of each group of a kernel.

        Args:
            kernel: Variable, tensor or array of shape `kernel_shape`.

        Returns:
            A float32 tensor `(num_groups,)`, in the order of `groups`.
        """
        magnitudes = ops.abs(ops.cast(ops.convert_to_tensor(kernel), "float32"))
        if self.group_size == 1:
            return ops.reshape(magnitudes, (-1,))
        blocks = ops.reshape(magnitudes, self._interleaved)
        blocks = ops.transpose(blocks, self._blocks_last)
        return ops.mean(ops.reshape(blocks, (-1, self.group_size)), axis=1)

    def sums_of(self, values: Any) -> Any:
        """Sum of each group of a tensor.

        Args:
            values: Tensor of shape `kernel_shape`.

        Returns:
            A tensor of shape `mask_shape`.
        """
        if self.group_size == 1:
            return values
        along = tuple(range(1, 2 * len(self.kernel_shape), 2))
        return ops.sum(ops.reshape(values, self._interleaved), axis=along)

    def random_mask(
        self, num_active_groups: int, generator: np.random.Generator
    ) -> np.ndarray:
        """A mask of so many groups, every such mask being equally likely.

        Args:
            num_active_groups: How many; with a pattern, so many that each
                bundle has the same number of them.
            generator: A `numpy.random.Generator`.

        Returns:
            Boolean array of shape `mask_shape`.
        """
        if self.pattern is not None:
            _check_memory(self.num_groups)
            scores = generator.random(self.num_groups)
            return self._largest_of_each_bundle(scores, num_active_groups)
        return self.mask_of(self.random_places(num_active_groups, generator))

    def random_places(
        self, num_active_groups: int, generator: np.random.Generator
    ) -> np.ndarray:
        """The places of the groups of a random mask without a pattern.

        Args:
            num_active_groups: How many.
            generator: A `numpy.random.Generator`.

        Returns:
            Integer array `(num_active_groups,)`, in ascending order. Where
            blocks of outputs have slots for so many only, every order in
            which places are filled as long as there are is equally likely.
            Where rows have, all have the same number, as far as they can.

        Raises:
            ValueError: if there are fewer slots, or memory does not suffice.
        """
        _check_memory(num_active_groups)
        if self.room is not None:
            self.room.check_number(num_active_groups)
        if self.room is not None and self.room.is_by_rows:
            return self._places_in_rows(num_active_groups, generator)
        if self.room is not None and self.room.num_bins > 1:
            _check_memory(self.num_groups)
            order = generator.permutation(self.num_groups)
            chosen = self.room.first_that_fit(order, num_active_groups)
        else:
            chosen = distinct(generator, self.num_groups, num_active_groups)
        return np.sort(chosen)

    def mask_of(self, places: np.ndarray) -> np.ndarray:
        """The mask of these places, a boolean array of shape `mask_shape`."""
        mask = np.zeros(self.num_groups, "bool")
        mask[places] = True
        return mask.reshape(self.mask_shape)

    def largest_mask(
        self, scores: np.ndarray, num_active_groups: int
    ) -> np.ndarray:
        """The mask of the groups with the largest scores; ties go first.

        Args:
            scores: Array `(num_groups,)`, finite, none below 0.
            num_active_groups: As of `random_mask`.

        Returns:
            Boolean array of shape `mask_shape`.
        """
        if self.pattern is not None:
            return self._largest_of_each_bundle(scores, num_active_groups)
        if self.room is not None and self.room.num_bins > 1:
            order = np.argsort(-scores, kind="stable")
            return self.mask_of(
                self.room.first_that_fit(order, num_active_groups)
            )
        (chosen,) = largest_groups([scores], [1], num_active_groups)
        return chosen.reshape(self.mask_shape)

    def check_mask(self, mask: np.ndarray) -> None:
        """Refuse a mask that breaks the pattern, or has no room.

        Raises:
            ValueError: if it does.
        """
        if self.pattern is not None:
            self.pattern.check(mask)
        if self.room is not None:
            self.room.check(np.flatnonzero(mask))

    def check_places(self, places: np.ndarray) -> None:
        """`check_mask` of the mask of these places, an integer array."""
        if self.pattern is not None:
            self.pattern.check(self.mask_of(places))
        if self.room is not None:
            self.room.check(places)

    def _places_in_rows(
        self, num_active_groups: int, generator: np.random.Generator
    ) -> np.ndarray:
        num_rows = self.mask_shape[0]
        size = self.num_groups // num_rows
        counts = np.full(num_rows, num_active_groups // num_rows)
        one_more = generator.choice(
            num_rows, num_active_groups % num_rows, replace=False, shuffle=False
        )
        counts[one_more] += 1
        sizes = np.full(num_rows, size)
        rows, columns = draw_in_bins(counts, sizes, generator)
        return rows * size + columns

    def _largest_of_each_bundle(
        self, scores: np.ndarray, num_active_groups: int
    ) -> np.ndarray:
        pattern = cast(Pattern, self.pattern)
        of_each = num_active_groups // pattern.num_bundles
        chosen = largest_of_each(pattern.bundles(scores), of_each)
        return pattern.unbundle(chosen)

    @property
    def _interleaved(self) -> tuple[int, ...]:
        pairs = zip(self.mask_shape, self.block_shape)
        return tuple(n for pair in pairs for n in pair)

    @property
    def _blocks_last(self) -> tuple[int, ...]:
        axes = range(2 * len(self.kernel_shape))
        return (*axes[::2], *axes[1::2])


def _are_runs(shape: tuple[int, ...], block: tuple[int, ...]) -> bool:
    """Whether blocks are runs of the entries of an array in memory order:
    along the last axes whole, along one in part, and single along others."""
    is_whole = True
    for n, length in zip(reversed(shape), reversed(block)):
        if not is_whole and length > 1:
            return False
        is_whole = is_whole and length == n
    return True


def _check_memory(num_places: int) -> None:
    """Refuse to draw more numbers of 8 bytes than there can be."""
    memory.check(8 * num_places, f"drawing {num_places:,} places of a mask")
