"""What the data of reserved types means: one file a type, each with `from_octets` and `to_octets`."""
