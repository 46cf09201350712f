"""Import and reconcile: from a factory's file, through the SNMS OpenAPI, to one result a row.

A client of the node like any other: no SQL, no rules of registration; the node is the judge.
"""
