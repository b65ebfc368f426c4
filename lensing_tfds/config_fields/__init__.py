"""Parts of a version's config: its checks, its patch, and the objects that it may have."""
