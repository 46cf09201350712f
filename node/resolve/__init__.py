"""The resolving road: stages of one shape, each asking the next when it does not know; worker.py sets the order."""
