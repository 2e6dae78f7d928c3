import pytest

from dsr_tf.pruning import PruningHyperparameters
from dsr_tf.pruning import by_path
from dsr_tf.pruning import named_values


def test_defaults_are_those_of_tf_contrib():
    settings = PruningHyperparameters()
    assert settings.pruning_frequency == 10
    assert settings.target_sparsity == 0.5
    assert settings.sparsity_function_exponent == 3
    assert settings.end_pruning_step == -1


@pytest.mark.parametrize(
    "step, sparsity",
    [(0, 0.1), (100, 0.1), (200, 0.9 - 0.8 * 0.125), (300, 0.9), (999, 0.9)],
)
def test_the_cubic_schedule(step, sparsity):
    """From 0.1 to 0.9 between 100 and 300: half way, an eighth is left."""
    settings = PruningHyperparameters(
        initial_sparsity=0.1,
        target_sparsity=0.9,
        sparsity_function_begin_step=100,
        sparsity_function_end_step=300,
    )
    assert settings.sparsity_at(step) == pytest.approx(sparsity)


def test_a_linear_schedule():
    settings = PruningHyperparameters(
        target_sparsity=0.8,
        sparsity_function_end_step=10,
        sparsity_function_exponent=1,
    )
    assert settings.sparsity_at(5) == pytest.approx(0.4)


def test_the_map_scales_with_the_schedule():
    settings = PruningHyperparameters(
        target_sparsity=0.8,
        sparsity_function_end_step=10,
        sparsity_function_exponent=1,
        weight_sparsity_map=["fc1:0.4", "fc2/kernel:0.6"],
    )
    assert settings.sparsity_of("fc1/kernel", 10) == pytest.approx(0.4)
    assert settings.sparsity_of("fc1/kernel", 5) == pytest.approx(0.2)
    assert settings.sparsity_of("net/fc1/kernel", 10) == pytest.approx(0.4)
    assert settings.sparsity_of("fc2/kernel", 10) == pytest.approx(0.6)
    assert settings.sparsity_of("fc3/kernel", 10) == pytest.approx(0.8)


def test_a_kernel_matched_twice():
    settings = PruningHyperparameters(
        weight_sparsity_map={"fc": 0.4, "fc1": 0.3}
    )
    with pytest.raises(ValueError, match="fc1/kernel is matched by several"):
        settings.sparsity_of("fc1/kernel", 0)


def test_when_it_is_due():
    settings = PruningHyperparameters(
        begin_pruning_step=20, end_pruning_step=50, pruning_frequency=15
    )
    last, pruned = 0, []
    for step in range(100):
        if settings.is_due(step, last):
            pruned.append(step)
            last = step
    assert pruned == [20, 35, 50]
    assert settings.next_due(0, 0) == 20
    assert settings.next_due(20, 20) == 35
    assert settings.next_due(50, 50) is None


def test_a_comma_list():
    settings = PruningHyperparameters.parse(
        "name=pruning,begin_pruning_step=7,target_sparsity=0.75,nbins=512,"
        "weight_sparsity_map=[fc1:0.9,fc2/kernel:0.8],"
        "block_pooling_function=MAX,block_height=4",
        pruning_frequency=3,
    )
    assert settings.begin_pruning_step == 7
    assert settings.target_sparsity == 0.75
    assert settings.pruning_frequency == 3
    assert settings.weight_sparsity_map == {"fc1": 0.9, "fc2/kernel": 0.8}
    assert settings.block_pooling_function == "MAX"
    assert PruningHyperparameters.parse(str(settings)) == settings
    assert PruningHyperparameters.parse("") == PruningHyperparameters()


def test_scaled():
    settings = PruningHyperparameters(
        begin_pruning_step=100,
        end_pruning_step=1000,
        pruning_frequency=1,
        sparsity_function_end_step=1000,
    ).scaled(0.1)
    assert settings.begin_pruning_step == 10
    assert settings.end_pruning_step == 100
    assert settings.pruning_frequency == 1
    assert settings.sparsity_function_end_step == 100


@pytest.mark.parametrize(
    "text",
    [
        "target_sparsity=1",
        "target_sparsity=-0.1",
        "target_sparsity=much",
        "pruning_frequency=0",
        "pruning_frequency=2.5",
        "begin_pruning_step=-1",
        "begin_pruning_step=9,end_pruning_step=8",
        "initial_sparsity=0.6",
        "sparsity_function_begin_step=9,sparsity_function_end_step=9",
        "sparsity_function_exponent=0",
        "threshold_decay=1",
        "block_height=0",
        "block_pooling_function=MIN",
        "weight_sparsity_map=[fc1:1]",
        "weight_sparsity_map=[fc1]",
        "weight_sparsity_map=[(:0.5]",
    ],
)
def test_bad_values(text):
    name = text.split("=")[-2].split(",")[-1]
    with pytest.raises(ValueError, match=f"`{name}` must be .*Received: "):
        PruningHyperparameters.parse(text)


@pytest.mark.parametrize("text", ["sparsity=0.5", "target_sparsity", "x"])
def test_unknown_names(text):
    with pytest.raises(ValueError, match="comma-separated list NAME=VALUE"):
        PruningHyperparameters.parse(text)


def test_brackets_in_expressions():
    text = "a=1, q=[fc[12]:0.1,x:2],b=[y[^3]:1]"
    pairs = [("a", "1"), ("q", "[fc[12]:0.1,x:2]"), ("b", "[y[^3]:1]")]
    assert named_values.split(text) == pairs
    read = PruningHyperparameters.parse("weight_sparsity_map=[fc[12]:0.9,y:0]")
    assert read.weight_sparsity_map == {"fc[12]": 0.9, "y": 0.0}


def test_an_expression_that_is_there_twice():
    with pytest.raises(ValueError, match="fc:1"):
        by_path.read("q", ["fc:1", "x:2", "fc:3"])
    with pytest.raises(ValueError, match="fc:0.1"):
        PruningHyperparameters(weight_sparsity_map=["fc:0.1", "fc:0.2"])
