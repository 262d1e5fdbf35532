"""Layers that compute what some of Keras's do, faster, and the exchange of one for the other.

Networks are built and saved with Keras's own layers; `exchange` puts these in place of some of them
for training and inference, and back.
"""
