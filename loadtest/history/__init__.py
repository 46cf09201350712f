"""The history checker: a crowd that writes down what it did and what it was told, and a judge of both.

Start it with `python -m loadtest history`. It knows the node only by what can be asked of it.
"""
