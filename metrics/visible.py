"""From where on a person sees it: what "just shows" means, of each form of spectral images.

The strength at which ColorVideoVDP's standard observer detects a defect whose strength is known by construction (its
own contrast threshold, .026 JOD; a full HD display at 38 pixels per degree): 1.05/255 and .074 pixels on the
development photos of `benchmarks/visibility.py`, 1.21/255 and .089 pixels on its test photos. Both are given to one
digit. Somebody who is not looking for it, and chooses the undamaged of two pictures in 63 of 100 cases (.5 JOD), needs
4.3/255 and .6 pixels.
"""

VISIBLE_GRID = 1 / 255
"""rms of a grid, constant or following the content, as a fraction of the data range"""
VISIBLE_STEPS = 0.1
"""rms displacement of stair-steps, in pixels"""
