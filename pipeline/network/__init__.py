"""Architectures, losses, training, inference, saving. The only room that imports Keras."""
