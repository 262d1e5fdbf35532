"""Words every room shares: errors, records, schema, catalogue, case, grid, boxes, random numbers,
params. Imports no other room.
"""
