"""Training batches: what a batch holds is drawn as a few numbers (`recipes`), then made of them, by
NumPy from memory-mapped shards (`host`) or where the network is (`on_device`).
"""
