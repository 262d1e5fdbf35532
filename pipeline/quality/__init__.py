"""How a case compares with those that a network has seen: features of the prepared image and of the
probabilities, their ranges over the cases of training, and the flag that follows. Imports `core`
and `preparation` alone; `evaluate` stores the ranges, `predict` compares with them.
"""
