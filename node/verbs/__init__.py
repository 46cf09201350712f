"""What the verbs of the shell do: a file for those that need the same, loaded when one of them is asked for."""
