"""A built dataset's maps, against what its config and CAMB say they should be.

Each shard is reduced to `statistics.Statistics`, small and addable; Beam adds them
(`transform`); `verdict` compares the sum with `theory`; `report` shows it.
"""
