"""Receipts: what was paid, what became of it, and how much may be in flight. One SQLite file a user."""
