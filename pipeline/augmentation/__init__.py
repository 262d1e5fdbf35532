"""Random changes of a case or a patch: drawn first, then applied."""
