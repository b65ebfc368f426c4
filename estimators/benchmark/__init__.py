"""The benchmark: a frozen protocol by which anybody's estimates of κ are compared.

protocol      what is frozen, from the package's own file: data, bands, other skies
digests       hashes of decoded arrays, and what tells rounding from other skies
alignment     estimates that are turned, mirrored, shifted, negated or in another order
units         estimates that are φ or a deflection, or are scaled
mistakes      these, named in one line each
submission    what a submission says of itself, and the JSON that it is judged to
submission_reading   that JSON, read: what no judge has written is refused
beyond_theory   scores that theory leaves to nobody
delensed      its lensing B modes that are left
scoring       a folder of maps, or a run, -> that JSON
other_skies   skies off the training distribution, as maps to estimate and as scores
"""
