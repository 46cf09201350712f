"""The crowd outside: load that is measured (`python -m loadtest`) and histories that are judged (`loadtest.history`).

It knows the node only by what can be asked of it.
"""
