"""From where on a person sees it: what "just shows" means, of each form of spectral images.

The strength at which ColorVideoVDP's standard observer detects a defect whose strength is known by construction (its
own contrast threshold, .026 JOD; a full HD display at 38 pixels per degree), on the development photos of
`benchmarks/visibility.py`. Somebody who is not looking for it, and chooses the undamaged of two pictures in 63 of 100
cases (.5 JOD), needs four times as much of a grid, and .6 pixels of stair-steps.
"""

COARSE_GRID = 0.7 / 255
"""Rms of a coarse grid from where on it shows, as a fraction of the data range. It and the two below are fitted to
grids and gains of periods 2 to 16, whose thresholds they meet within 11% rms, one number for all within 41% (see
"The finer a grid, the more it takes" in docs/decisions.md)."""
COARSE_PERIOD = 8
"""Period in pixels from which on a grid is coarse; finer ones take more, as contrast sensitivity falls."""
FALL_EXPONENT = 0.8
"""Power of the period by which the sensitivity to finer grids falls."""
VISIBLE_GRID = 1 / 255
"""Rms of a grid, constant or following the content, from where on it shows where no period is known: the median over
periods is 1.05/255 (see "From where on it shows was not ours to say" in docs/decisions.md)."""
VISIBLE_STEPS = 0.1
"""Rms displacement of stair-steps in pixels from where on they show: the median over factors is .074 (see there)."""


def visible_grid(period: int) -> float:
    """Rms of a grid at the own frequencies of a period from where on it shows, as a fraction of the data range."""
    return COARSE_GRID * max(1.0, COARSE_PERIOD / period) ** FALL_EXPONENT
