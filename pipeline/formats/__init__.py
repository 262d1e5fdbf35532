"""One file per file format: voxels and grid in and out. Imports core."""
