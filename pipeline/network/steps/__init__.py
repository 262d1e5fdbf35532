"""Compiled steps and functions, one file per backend.

Beside the switch in `network.backend` this is the only code that imports TensorFlow or JAX, because
Keras has no gradients, loops of steps and compiled functions of its own.
"""
