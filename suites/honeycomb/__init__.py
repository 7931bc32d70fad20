"""Natural language to a Honeycomb query."""
