"""Physics on a flat sky: spectra, fields, lensing, instrument. It knows no config."""
