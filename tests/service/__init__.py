"""Faults of the wire: what the transport and the endpoints do about them."""
