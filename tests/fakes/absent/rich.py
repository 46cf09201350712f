"""Stands before a package that only the tools of this environment need and that no node has: there is none."""

raise ModuleNotFoundError("a node has no rich", name="rich")
