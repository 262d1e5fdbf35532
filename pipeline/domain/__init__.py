"""Arrays in, arrays out: no file, no clock, no network library."""
