"""Random changes of a case or a patch: one file per transform, drawn first, then applied."""
