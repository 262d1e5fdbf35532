"""A page in the browser around a trained network: cases dropped, segmented, looked at, corrected.
FastAPI is known in this room alone; `app.create` is what others import.
"""
