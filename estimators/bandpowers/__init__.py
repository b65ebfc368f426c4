"""Band powers of κ from maps of it, every bias named; docs/bandpowers.md explains each.

rings                rings of modes, and the bands that they are joined to
sky_sets             simulated and observed skies: fiducial ones, and with other spectra of κ
sky_spectra          the spectra that are measured on each sky
spectra_shards       simulations as sealed shards, by any executor
debiasing            from spectra of skies to band powers
covariance           from simulations, shrunk where they are few
amplitude            a Gaussian likelihood of the amplitude of C_L^κκ
measurement          all of this, from skies to a result
sacc_files tables    as SACC, and as text
"""
