"""One script a claim; each prints ratios measured side by side in one run."""
