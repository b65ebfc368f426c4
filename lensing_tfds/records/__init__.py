"""Examples on disk: shards, what writes them, and what reads them."""
