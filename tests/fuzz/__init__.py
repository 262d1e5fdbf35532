"""Fuzzing of the readers of files from outside: `make fuzz`."""
