"""Brain-tumour MRI segmentation that people can re-run, check and use."""
