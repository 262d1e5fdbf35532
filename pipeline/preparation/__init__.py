"""From a raw case to the network's input and back: cropping, resampling, normalising, patches,
shards, postprocessing.
"""
