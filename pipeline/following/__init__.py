"""Follow-up of one patient: visits found, registered to each other, their lesions matched, measured
and assessed.

`commands/follow.py` calls these in turn. Nothing here draws: the record that `record.py` makes is
what the page of `report` shows.
"""
