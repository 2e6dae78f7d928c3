"""The papers' networks: plain functions that return a dense Keras model."""

# In the order in which --help lists them: those of the paper's experiments,
# and then others.
from dsr_tf.models.lenet import lenet_300_100

# isort: split
from dsr_tf.models.wide_resnet import wrn_28_2

# isort: split
from dsr_tf.models.resnet import resnet50

# isort: split
from dsr_tf.core import discovery
from dsr_tf.models.caffe_lenet import lenet_5
from dsr_tf.models.cifar_resnet import resnet_cifar
from dsr_tf.models.cifar_vgg import vgg_cifar
from dsr_tf.models.conv_mixer import conv_mixer
from dsr_tf.models.fully_connected import mlp
from dsr_tf.models.lstm_rows import lstm_rows
from dsr_tf.models.mobilenet import mobilenet
from dsr_tf.models.registry import MODELS
from dsr_tf.models.registry import PAPER_DENSE
from dsr_tf.models.registry import register
from dsr_tf.models.vit import vit

__all__ = [
    "MODELS",
    "PAPER_DENSE",
    "conv_mixer",
    "lenet_300_100",
    "lenet_5",
    "lstm_rows",
    "mlp",
    "mobilenet",
    "register",
    "resnet50",
    "resnet_cifar",
    "vgg_cifar",
    "vit",
    "wrn_28_2",
]

# Networks of other files in this folder.
discovery.import_modules(__name__, __path__)
