"""What things cost, beside the floor: bare APSW running the same statements on the same tables."""
