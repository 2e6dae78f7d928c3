"""Positions of windows go, by masks (Lebedev & Lempitsky, 2016)."""

import keras

from dsr_tf.conversion.selection import Filters
from dsr_tf.structure.choice.amount import Share
from dsr_tf.structure.choice.amount import largest_kept
from dsr_tf.structure.choice.scores import relative
from dsr_tf.structure.removal.shapes import ShapesOf


def brain_damage(
    model: keras.Model,
    share: Share | None = None,
    parameters: int | None = None,
    macs: int | None = None,
    filters: Filters = None,
) -> keras.Model:
    """Mask the shapes of convolutions with the smallest norm.

    "Fast ConvNets using group-wise brain damage" (Lebedev & Lempitsky, CVPR
    2016). A shape is what one input channel at one position of the window is
    multiplied by, for all filters. A trained network is trained with group
    lasso on shapes,

        penalties = dsr_tf.structure.group_penalties(model, 0.003, ["shape"])
        model = dsr_tf.regularize(model, penalties)

    then the shapes with the smallest L2 norm go, and the rest is trained
    further with zeros in their place. One threshold says which, for all
    layers together, norms being shares of the mean in their layer; each
    layer keeps a shape. Dense layers count as convolutions of one position.

    What cannot be removed in Keras: the authors' convolution leaves out
    single rows of the matrix that it multiplies by. Keras has none that
    looks at some positions of a window only, so a shape stays as zeros under
    a mask, which are multiplied like other numbers: `cost(model).macs`, and
    the multiply-adds that runs report, count them. Only what is whole is cut
    off: an input channel without any shape (where others read it, the layer
    gets `keras.ops.take` before it), and borders of windows with their
    padding, see `shrink_windows`.

    Other than in the paper, all goes at once, not step by step as long as
    accuracy holds; for a schedule see `GradualPruning` with masks of
    granularity "shape".

    Args:
        model: A built functional or Sequential model, not changed.
        share: Share of the shapes of all layers together that stay, in (0,
            1]. Or a dict from regular expressions to such: the first counts
            that finds something in the path of a layer, each layer then
            keeps that share of its own, and where none does, all stay.
        parameters, macs: Budget in place of `share`: numbers of active
            parameters and multiply-adds that the network must not be above,
            as `active_cost` counts them.
        filters: Regular expression, list of these, or function of a layer:
            which layers lose shapes. By default all dense layers and
            convolutions without masks.

    Returns:
        The network, whose layers with zeros are masked ones of `dsr_tf`.

    Raises:
        TypeError, ValueError: if an argument is out of range, or there is no
            layer whose shapes can go.
    """
    shapes = ShapesOf(model, filters)
    norms = {path: relative(own) for path, own in shapes.norms.items()}
    kept = largest_kept(norms, shapes.cost, share, parameters, macs)
    return shapes.without(kept)
