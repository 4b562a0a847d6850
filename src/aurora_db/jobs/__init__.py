"""Durable work: enqueue, claim, run, settle, rescue. Never meets a driver, only a Port."""
