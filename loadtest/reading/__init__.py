"""Reading side by side: the node and nginx in turn, by what each answer costs.

Only what is particular to that comparison stands here; how load is made is said in the rooms above.
"""
