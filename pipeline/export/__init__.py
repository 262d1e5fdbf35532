"""A trained network as a folder that needs no Keras: its graph, `pipeline.json` and a runner."""
