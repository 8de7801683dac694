"""The v1 service: faults, the front door, forms."""
