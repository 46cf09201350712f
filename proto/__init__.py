"""What can be said: identifiers, values, the JSON of the Handle HTTP API, the chain of a stream.

Pure and frozen; no socket, no clock, no chance, no database, no settings.
"""
