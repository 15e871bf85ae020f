"""What is measured: the problems, and DeepXDE's settings for each, from its demos."""

NAMES = {
    "poisson_1d": "Poisson 1D", "inverse_diffusion": "inverso", "heat": "calor", "burgers": "Burgers",
    "poisson_2d": "Poisson 2D", "laplace": "Laplace", "wave": "onda", "schrodinger": "Schrödinger",
    "oscillator": "oscilador",
}
SEEDS = (0, 1, 2)
CODES = (("libro", "float64"), ("DeepXDE", "float32"), ("DeepXDE", "float64"))
KEY = ("problem", "code", "precision", "seed")

# demo: the one the settings come from; same: whether it solves this very problem; domain, boundary,
# initial: number of points; adam: iterations; lbfgs: whether it follows. Untouched in float32. In
# float64, where L-BFGS gets further, SHORTER times fewer of Adam, and then L-BFGS in every problem,
# without DeepXDE's tolerance for the gradient.
EVOLUTION = {"domain": 2540, "boundary": 80, "initial": 160, "layers": [20] * 3, "init": "Glorot normal",
             "lbfgs": True}
SETTINGS = {
    "poisson_1d": {"demo": "Poisson_Dirichlet_1d", "same": True,
                   "domain": 16, "boundary": 2, "layers": [50] * 3, "adam": 10000},
    "inverse_diffusion": {"demo": "diffusion_1d_inverse", "same": True, "domain": 40, "boundary": 20,
                          "initial": 10, "layers": [32] * 3, "adam": 50000},
    "heat": {"demo": "heat", "same": True, **EVOLUTION, "adam": 20000},
    "burgers": {"demo": "Burgers", "same": True, **EVOLUTION, "adam": 15000},
    "poisson_2d": {"demo": "Helmholtz_Dirichlet_2d", "same": False, "domain": 400, "boundary": 80,
                   "layers": [150] * 3, "activation": "sin", "hard": True, "adam": 5000},
    "laplace": {"demo": "Laplace_disk", "same": False, "domain": 2540, "boundary": 80,
                "layers": [20] * 3, "init": "Glorot normal", "adam": 15000},
    "wave": {"demo": "Burgers", "same": False, **EVOLUTION, "adam": 5000},
    "schrodinger": {"demo": "Burgers", "same": False, **EVOLUTION, "adam": 5000},
    "oscillator": {"demo": "ode_2nd", "same": False, "domain": 200, "boundary": 2, "layers": [50] * 3,
                   "weights": [1 / 20**4, 1, 1 / 20**2], "adam": 10000, "lbfgs": True},
}
SHORTER = 5
LBFGS = {"float32": 15000, "float64": 2000}  # iterations at most; the first is DeepXDE's own limit
