"""A segmented case on one page of A4: `page` composes it of slices, a table and texts."""
