"""The Handle protocol as octets (RFC 3652 as deployed, versions 2.0 to 2.11, the numbers of 3.0). Pure.

A message travels in an envelope (envelope.py) down a stream (stream.py) or in packets (packets.py); within are header,
body and credential (message.py), and in the body what its operation says (bodies.py).
"""
