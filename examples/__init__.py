"""Real applications, each with its own test."""
