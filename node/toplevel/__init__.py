"""The simulated national top-level node: a program of its own, with its own books and its own door.

It shares with the node only what can be said (proto), the settings, the journal, the clock and the database's basics.
"""
