"""Filters of maps with a mask and uneven noise: the fields that a periodic patch would have had.

    masked_patch.MaskedPatch        mask, noise spectra and noise variance of observed maps, checked
    wiener_filter.WienerFilter      T, and E and B, by conjugate gradients
    planes.Planes                   its numbers in harmonic space
    conjugate_gradients             of several maps at once

NumPy, SciPy and ducc0 on the project's own `FlatSky`: no TensorFlow.
"""
