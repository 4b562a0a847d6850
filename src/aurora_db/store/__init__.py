"""Statements → database: the only floor that meets a driver."""
