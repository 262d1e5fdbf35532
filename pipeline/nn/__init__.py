"""The network: built, trained, saved and asked. The only room that imports Keras."""
