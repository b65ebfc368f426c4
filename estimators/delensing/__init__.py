"""Lensing's B modes, and how much of them an estimate of κ can remove: docs/delensing.md.

    residual_b_modes.residual_b_modes   the share that is left, of any estimates, beside forecasts
    split_b_modes                       quadratic estimates from other B modes than are delensed
    delensed_maps.Delenser              observed B less a template: maps and band powers
    delensed_skies, masked_skies        band powers of B with tensors and without, delensed or not
    tensor_ratio                        a likelihood of r from them

Templates are those of `estimators.lensing_template`. NumPy, SciPy and ducc0: no TensorFlow.
"""
