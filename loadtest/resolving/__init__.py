"""Resolving by the Handle protocol: the node and NSD, a name server in C, in turn, each asked as fast as it answers.

Only what is particular to that comparison stands here; how load is made is said in the rooms above.
"""
