"""Models of Keras, by name, for tests where Keras is installed."""

from collections.abc import Callable
from typing import Any


def _sequential(*items: Any) -> Any:
    from keras import Sequential

    return Sequential(list(items))


def dense() -> Any:
    from keras import Input, layers

    return _sequential(
        Input((5,)),
        layers.Dense(8, activation="relu", kernel_regularizer="l2"),
        layers.Dropout(0.5),
        layers.Dense(8, activation="relu6"),
        layers.Dense(8, activation=layers.LeakyReLU(0.3)),
        layers.Dense(8, activation="leaky_relu", kernel_constraint="max_norm"),
        layers.Dense(8, activation="gelu"),
        layers.ELU(0.5),
        layers.Dense(3, activation="softmax"),
    )


def built_without_input() -> Any:
    from keras import layers

    model = _sequential(layers.Dense(4, activation="mish"), layers.Dense(2, activation="hard_silu"))
    model.build((None, 3))
    return model


def convolutions() -> Any:
    from keras import Input, layers

    return _sequential(
        Input((12, 11, 3)),
        layers.Conv2D(4, 3, strides=2, padding="same", use_bias=False),
        layers.BatchNormalization(),
        layers.ReLU(6.0),
        layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2),
        layers.PReLU(shared_axes=(1, 2)),
        layers.SeparableConv2D(6, 3, padding="same", activation="silu"),
        layers.ZeroPadding2D(((1, 0), (2, 1))),
        layers.Conv2D(6, 3, groups=2, dilation_rate=2, padding="same", activation="elu"),
        layers.UpSampling2D(2),
        layers.Conv2DTranspose(4, 3, strides=2, padding="same"),
        layers.GroupNormalization(2),
        layers.MaxPooling2D(2, padding="same"),
        layers.AveragePooling2D(2),
        layers.Cropping2D(1),
        layers.LayerNormalization(),
        layers.GlobalAveragePooling2D(),
        layers.Rescaling(0.5, 1.0),
        layers.Dense(2),
    )


def sequence_of_numbers() -> Any:
    from keras import Input, layers

    return _sequential(
        Input((9, 3)),
        layers.Conv1D(4, 3, padding="causal", dilation_rate=2, activation="tanh"),
        layers.MaxPooling1D(2),
        layers.TimeDistributed(layers.Dense(5)),
        layers.SimpleRNN(4, return_sequences=True),
        layers.RMSNormalization(),
        layers.GRU(4, return_sequences=True, reset_after=False),
        layers.Flatten(),
        layers.Dense(2),
    )


def recurrent() -> Any:
    from keras import Input, Model, layers

    tokens = Input((7,), dtype="int32")
    x = layers.Embedding(11, 6, mask_zero=True)(tokens)
    x = layers.Bidirectional(layers.LSTM(4, return_sequences=True))(x)
    x, h = layers.GRU(8, return_sequences=True, return_state=True)(x)
    y = layers.LSTM(5)(x)
    return Model(tokens, [layers.Dense(2)(y), h])


def masked() -> Any:
    from keras import Input, Model, layers

    x = Input((5, 3))
    return Model(x, layers.LSTM(4)(layers.Dense(3)(layers.Masking(0.0)(x))))


def attention() -> Any:
    from keras import Input, Model, layers

    x = Input((6, 8))
    y = layers.MultiHeadAttention(2, 3, value_dim=5)(x, x, use_causal_mask=True)
    y = layers.LayerNormalization(epsilon=1e-5)(x + y)
    z = layers.GroupQueryAttention(4, 4, 2)(y, x)
    return Model(x, layers.Dense(3)(y * 2.0 - z / 3.0))


def several_inputs() -> Any:
    from keras import Input, Model, layers, ops

    a, b = Input((4,), name="a"), Input((4,), name="b")
    shared = layers.Dense(4, activation="tanh", name="shared")
    base = _sequential(Input((4,)), layers.Dense(4), layers.BatchNormalization(), layers.Dense(4, activation="relu"))
    joined = layers.Concatenate()([base(shared(a)), base(shared(shared(b)))])
    merged = layers.Multiply()([layers.Dense(8, name="gate", activation="sigmoid")(joined), joined])
    first = ops.mean(ops.reshape(merged, (-1, 2, 4)), axis=1)
    return Model([a, b], [first, layers.Subtract()([merged[:, 1:3], merged[:, :2]])])


def broadcast() -> Any:
    from keras import Input, Model, layers

    x = Input((4, 5, 3))
    scale = layers.GlobalAveragePooling2D(keepdims=True)(x)
    y = layers.Multiply()([x, layers.Conv2D(3, 1, activation="hard_sigmoid")(scale)])
    y = layers.Dropout(0.3, noise_shape=(None, 1, 1, 1))(y)
    return Model(x, layers.Subtract()([layers.Average()([y, scale]), layers.Add()([scale, y, x])]))


def nested() -> Any:
    from keras import Input, Model, layers

    def inner(name: str) -> Any:
        x = Input((3,))
        return Model(x, layers.Dense(3, trainable=name != "inner", name="only")(x), name=name)

    middle_input = Input((3,))
    middle = Model(middle_input, layers.Dense(3, activation="relu")(inner("inner")(middle_input)), name="middle")
    x = Input((3,), name="x")
    beside = inner("beside")
    return Model({"x": x}, {"y": layers.Dense(2, name="last")(middle(x)), "z": beside(beside(x))}, name="of_dicts")


MODELS: dict[str, Callable[[], Any]] = {
    function.__name__: function
    for function in (
        dense,
        built_without_input,
        convolutions,
        sequence_of_numbers,
        recurrent,
        masked,
        attention,
        several_inputs,
        broadcast,
        nested,
    )
}
