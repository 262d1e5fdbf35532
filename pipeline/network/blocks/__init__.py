"""Pieces that `unet` builds networks of, one per file; each takes and returns Keras tensors.

They are made of Keras's own layers, named by level and place, so that `layers.exchange` can put
faster ones in and a saved network loads anywhere.
"""
