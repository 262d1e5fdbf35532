"""One file per origin of cases."""
