"""What becomes of a node as it grows: databases of several sizes, filled and measured in turn."""
