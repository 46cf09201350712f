"""The native face: the Handle protocol over TCP and UDP. What its octets mean is proto/native/'s."""
