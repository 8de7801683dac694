"""Formats: what the service makes, what exporters derive from it, and how a wish becomes a plan."""
