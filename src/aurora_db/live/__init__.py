"""Live queries and topics over the feed of changes: nothing is missed, nothing comes twice."""
