"""What runs a trained network on windows of an image: Keras, or OpenVINO on a CPU."""
