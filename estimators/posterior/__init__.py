"""The maximum a posteriori of κ, from everything that is known of the maps.

sky_model             the posterior: how unlensed fields and κ make maps, its value and gradient
maximum_a_posteriori  where it is largest
mean_field            what a mask adds to its gradient, measured on simulated skies
unlensed_b            the spectrum of B that lensing did not make
measured              what that was found to reach, from the package's own file
quasi_newton          the steps that lead there
"""
