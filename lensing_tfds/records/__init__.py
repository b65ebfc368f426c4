"""How examples are kept: shards, what writes them, and what reads them."""
