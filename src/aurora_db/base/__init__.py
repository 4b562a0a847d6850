"""The lowest floor: errors, records, codec, clock, ids. Standard library and msgspec only."""
