"""A long run of the realistic mix: does the memory of the workers stay what it is?

Only what is particular to that question stands here; how load is made is said in the rooms above.
"""
