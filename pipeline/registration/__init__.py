"""Native series brought to a common grid, and the inverse."""
