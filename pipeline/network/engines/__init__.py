"""What runs a trained network on windows of an image: Keras, OpenVINO or onnxruntime."""
