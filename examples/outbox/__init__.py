"""Webhooks out of the database: what was committed is told, exactly once, to a server that fails."""
