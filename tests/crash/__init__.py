"""Processes that are really killed, and disks that keep only what was synced."""
