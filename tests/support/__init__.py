"""Servers, clocks and lists that the tests share."""
