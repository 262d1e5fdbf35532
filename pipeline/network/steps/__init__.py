"""Compiled training steps, one file per backend: the only code that imports TensorFlow or JAX."""
