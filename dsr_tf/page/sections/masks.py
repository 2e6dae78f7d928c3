"""What masks look like, and which channels are left."""

from dsr_tf.page import numbers
from dsr_tf.page import png
from dsr_tf.page.heat import MAX_ROWS
from dsr_tf.page.markup import Markup
from dsr_tf.page.markup import element
from dsr_tf.page.markup import end_of
from dsr_tf.page.markup import short_name
from dsr_tf.page.run import Run
from dsr_tf.page.sections.section import section
from dsr_tf.page.table import bar
from dsr_tf.page.table import table
from dsr_tf.training.mask_pictures import Picture

# A blue that is seen on white and on black.
_COLOR = (0x1C, 0x86, 0xC8)
_CHANNELS = "Channels that are left"


def of(run: Run) -> Markup:
    content = []
    if run.pictures is not None:
        densities = {
            k["path"]: numbers.percent(k["density"])
            for k in run.summary["kernels"]
        }
        content.append(_pictures(run, densities))
    if "narrowed" in run.summary:
        content.append(_channels(run))
    if not content:
        return Markup()
    return section(
        "Masks at the end" if run.pictures is not None else _CHANNELS,
        "Inputs from top to bottom, outputs from left to right, a tile for "
        "each window of a convolution; colour where weights are active. A "
        "pixel is an entry of the mask (a block, or a channel, where these "
        "go together), or the mean of several where there are many."
        if run.pictures is not None
        else "",
        *content,
    )


def _pictures(run: Run, densities: dict[str, str]) -> Markup:
    assert run.pictures is not None
    figures = []
    inputs = run.pictures.inputs
    if inputs is not None:
        name = short_name(inputs.path)
        figures.append(
            _figure(
                inputs,
                "Input image",
                f"how many units of {name} read each pixel",
            )
        )
    for picture in run.pictures.kernels[:MAX_ROWS]:
        said = [densities.get(picture.path, ""), picture.granularity]
        dead, units = picture.num_dead_units, picture.num_units
        said.append(
            f"{dead:,} of {units:,} outputs dead"
            if dead
            else f"all {units:,} outputs alive"
        )
        name = end_of(picture.path, class_="name")
        figures.append(_figure(picture, name, ", ".join(filter(None, said))))
    return element("div", *figures, class_="masks")


def _figure(picture: Picture, title: object, said: str) -> Markup:
    height, width = picture.pixels.shape
    # Few pixels are drawn large, and long ones not too thin to see.
    image = element(
        "img",
        src=png.data_uri(picture.pixels, _COLOR),
        alt=f"{picture.path}: {said}",
        style=f"aspect-ratio:{max(width, height / 4)}/{max(height, width / 4)}",
    )
    return element(
        "figure",
        image,
        element("figcaption", element("b", title), said),
    )


def _channels(run: Run) -> Markup:
    rows = [
        (
            element("span", short_name(name), title=name),
            numbers.count(total),
            numbers.count(left),
            bar(left / max(1, total), numbers.percent(left / max(1, total))),
        )
        for name, (left, total) in list(
            run.summary["narrowed"]["units"].items()
        )[:MAX_ROWS]
    ]
    return table(
        ("channels of", "all", "left", "share"),
        rows,
        # Below pictures it has a title of its own.
        _CHANNELS if run.pictures is not None else "",
    )
