"""Instance normalisation and the LeakyReLU after it, in few passes over the features."""

from .. import backend
from ..backend import keras

ops = keras.ops


class InstanceNorm(keras.layers.Layer):
    """Each channel of each sample to mean 0 and variance 1, scaled, shifted and activated.

    Statistics are float32 whatever the compute type, and the gradient is written out: it takes two
    passes over the features, and of the outputs it needs the signs alone. The variance is E[x^2] -
    E[x]^2, so that both moments take one pass; x is the output of a convolution, whose mean is of
    the order of its standard deviation.

    Parameters
    ----------
    epsilon : float
        Added to the variance.
    slope : float
        Of the LeakyReLU below 0; 1 for none.
    """

    def __init__(self, epsilon: float, slope: float, **settings):
        super().__init__(**settings)
        self.epsilon, self.slope = epsilon, slope

    def build(self, shape):
        """Scale and offset per channel, in float32 whatever the compute type."""
        self.gamma, self.beta = (
            self.add_weight(
                (shape[-1],), initializer=initial, dtype="float32", autocast=False, name=name
            )
            for name, initial in (("gamma", "ones"), ("beta", "zeros"))
        )

    def call(self, features):
        """(B, *spatial, C) to the same shape and dtype."""
        # as tensors: TensorFlow's custom gradients are not for functions of variables
        gamma, beta = (ops.reshape(weight, (-1,)) for weight in (self.gamma, self.beta))
        if self.slope != 1 and backend.name() == "tensorflow":
            # not compiled: its own gradient of the LeakyReLU takes one pass instead of three
            outputs = _normalized(self.epsilon, 1.0)(features, gamma, beta)
            return ops.leaky_relu(outputs, self.slope)
        return _normalized(self.epsilon, self.slope)(features, gamma, beta)

    def compute_output_shape(self, shape):
        """Static shape of the output."""
        return shape


def _normalized(epsilon, slope):
    @ops.custom_gradient
    def normalized(features, gamma, beta):
        axes = tuple(range(1, len(features.shape) - 1))

        def mean_of(values):
            return ops.mean(values, axes, keepdims=True)

        wide = ops.cast(features, "float32")
        mean = mean_of(wide)
        variance = ops.maximum(mean_of(ops.square(wide)) - ops.square(mean), 0)
        inverse = ops.rsqrt(variance + epsilon)
        scale = gamma * inverse
        outputs = ops.cast(wide * scale + (beta - mean * scale), features.dtype)
        if slope != 1:
            outputs = ops.leaky_relu(outputs, slope)

        def gradient(*arguments, upstream=None):
            incoming = arguments[0] if upstream is None else upstream
            if slope != 1:
                incoming = ops.where(outputs > 0, incoming, slope * incoming)
            incoming, wide = ops.cast(incoming, "float32"), ops.cast(features, "float32")
            total = mean_of(incoming)
            projected = (mean_of(incoming * wide) - mean * total) * inverse
            slant = -scale * inverse * projected
            outgoing = incoming * scale + (wide * slant - (scale * total + slant * mean))
            voxels = ops.cast(ops.size(wide[:1, ..., :1]), "float32")
            outer = (0, *axes)
            return (
                ops.cast(outgoing, features.dtype),
                ops.sum(projected, outer) * voxels,
                ops.sum(total, outer) * voxels,
            )

        return outputs, gradient

    return normalized


class Activated(keras.layers.Layer):
    """Stands for the LeakyReLU that the `InstanceNorm` before it has applied."""

    def __init__(self, slope: float, **settings):
        super().__init__(**settings)
        self.slope = slope

    def call(self, features):
        """The features as they are."""
        return features
