"""From where on a person sees it: what "just shows" means, of each form of spectral images.

The strength at which ColorVideoVDP's standard observer detects a defect whose strength is known by construction (its
own contrast threshold, .026 JOD; a full HD display at 38 pixels per degree), on the development photos of
`benchmarks/visibility.py`. Somebody who is not looking for it, and chooses the undamaged of two pictures in 63 of 100
cases (.5 JOD), needs four times as much of a grid, and .6 pixels of stair-steps.
"""

COARSE_GRID, COARSE, FALL = 0.7 / 255, 8, 0.8
"""rms of a coarse grid, the period from which on a grid is coarse, and how much more it takes of finer ones: contrast
sensitivity falls. Fitted to grids and gains of periods 2 to 16, whose thresholds it meets within 11% rms, and one
number for all within 41%"""
VISIBLE_GRID = 1 / 255
"""rms of a grid, constant or following the content, where no period is known: the median over periods is 1.05/255"""
VISIBLE_STEPS = 0.1
"""rms displacement of stair-steps, in pixels: the median over factors is .074"""


def visible_grid(period: int) -> float:
    """Rms of a grid at the own frequencies of a period from where on it shows, as a fraction of the data range."""
    return COARSE_GRID * max(1.0, COARSE / period) ** FALL
