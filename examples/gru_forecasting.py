"""A sparse GRU forecasts the sunspots of the next year.

The yearly mean sunspot numbers from 1700 to 2008 (version 1, of the World Data
Center SILSO, Royal Observatory of Belgium), rounded to whole numbers. The last
third of the years is the test. A rule to beat: as many as last year.
"""

import keras
import numpy as np
import shared
from keras import layers

import dsr_tf

SUNSPOTS = """
5 11 16 23 36 58 29 20 10 8 3 0 0 2 11 27 47 63 60 39 28 26 22 11 21 40 78 122
103 73 47 35 11 5 16 34 70 81 111 101 73 40 20 16 5 11 22 40 60 81 83 48 48 31
12 10 10 32 48 54 63 86 61 45 36 21 11 38 70 106 101 82 66 35 31 7 20 92 154
126 85 68 38 23 10 24 83 132 131 118 90 67 60 47 41 21 16 6 4 7 14 34 45 43 48
42 28 10 8 2 0 1 5 12 14 35 46 41 30 24 16 7 4 2 8 17 36 50 64 67 71 48 28 8
13 57 122 138 103 86 65 37 24 11 15 40 62 98 125 96 67 64 54 39 21 7 4 23 55
94 96 77 59 44 47 30 16 7 38 74 139 111 102 66 45 17 11 12 3 6 32 54 60 64 64
52 25 13 7 6 7 36 73 85 78 64 42 26 27 12 10 3 5 24 42 64 54 62 48 44 19 6 4 1
10 47 57 104 81 64 38 26 14 6 17 44 64 69 78 65 36 21 11 6 9 36 80 114 110 89
68 48 31 16 10 33 93 152 136 135 84 69 32 14 4 38 142 190 185 159 112 54 38 28
10 15 47 94 106 106 104 67 69 38 34 16 13 28 92 155 155 140 116 67 46 18 13 29
100 158 143 146 94 55 30 18 9 22 64 93 120 111 104 64 40 30 15 8 3
"""
YEARS = 22


def train(model, x, y, epochs, *callbacks):
    """Train on two thirds of the years; returns the mean error on others."""
    num_train = len(x) * 2 // 3
    model.compile(dsr_tf.optimizers.Adam(5e-3), "mse")
    options = {"epochs": epochs, "callbacks": list(callbacks), "verbose": 0}
    model.fit(x[:num_train], y[:num_train], **options)
    outputs = keras.ops.convert_to_numpy(model(x[num_train:]))[:, 0]
    return np.mean(np.abs(outputs - y[num_train:])) * 100


def main(arguments=None):
    args = shared.parse_arguments(arguments, __doc__, epochs=60)
    spots = np.array(SUNSPOTS.split(), "float32") / 100
    windows = np.lib.stride_tricks.sliding_window_view(spots, YEARS + 1)
    x, y = windows[:, :YEARS, None], windows[:, YEARS]
    keras.utils.set_random_seed(0)
    gru, head = layers.GRU(48, name="gru"), layers.Dense(1, name="spots")
    dense = keras.Sequential([keras.Input((YEARS, 1)), gru, head])
    model, static = (dsr_tf.sparsify(dense, 0.9, seed=0) for _ in range(2))
    reallocation = dsr_tf.callbacks.DynamicSparseReparameterization(
        num_reallocated=40, period=20, stop_epoch=args.epochs * 3 // 4, seed=0
    )
    error = train(model, x, y, args.epochs, reallocation)
    print(f"mean error    {error:.1f} spots")
    print(f"static masks  {train(static, x, y, args.epochs):.1f}")
    print(f"dense         {train(dense, x, y, args.epochs):.1f}")
    test = slice(len(x) * 2 // 3, None)
    same = np.mean(np.abs(x[test, -1, 0] - y[test])) * 100
    print(f"as last year  {same:.1f}")
    print(dsr_tf.sparsity_summary(model))
    model.save(args.model_file)
    shared.check_file(args.model_file, model, x)
    return model


if __name__ == "__main__":
    main()
