"""The nine problems, as the chapters of this book define and solve them."""

import time
from types import SimpleNamespace

import torch

from chapters import load

EQUATIONS = "16-ecuaciones-de-la-fisica"
OPTIMIZE = "15-optimizar-una-pinn"
EVERY = 5  # iterations of Levenberg–Marquardt between two records of the error


def oscillator(seed):
    """The stiff oscillator of chapter 15, with the same attributes as chapter 16's problems."""
    c = load(OPTIMIZE, "oscillator_system", "init_params", "levenberg_marquardt", "position",
             "to_input", "jets", "exact", "sizes", "t_train", "t_test", "d", "omega_0")
    p = SimpleNamespace(box=((0.0, 1.0),), test=c.t_test, exact=c.exact, coefs=0, callback=None, time=0)
    p.orders = ((), (0,), (0, 0))
    p.equation = lambda t, U, coef: U[2] + 2 * c.d * U[1] + c.omega_0**2 * U[0]
    p.theta0 = c.init_params(c.sizes, torch.Generator().manual_seed(seed))
    p.solution = lambda theta, t: c.position(t, c.jets(theta, c.sizes, c.to_input(t), ((),))[0][0])
    p.solve = lambda p: c.levenberg_marquardt(c.oscillator_system(c.t_train), p.theta0, 400, callback=p.callback)
    return p


def problem(name, seed):
    """A problem: its equation, box, exact solution, test points, and how this book solves it."""
    torch.set_default_dtype(torch.float64)
    if name == "oscillator":
        return oscillator(seed)
    c = load(EQUATIONS, name, "solve", "grid")
    p = getattr(c, name)(seed)
    p.solve, p.test = c.solve, c.grid(p.box)
    if name == "burgers":  # the book solves half of the domain, and the other half is its mirror
        p.box, half = ((-1.0, 1.0), p.box[1]), p.solution
        p.test = torch.cartesian_prod(torch.linspace(-1, 1, 256), torch.linspace(0, 0.99, 100))
        p.solution = lambda theta, q: q[:, :1].sign() * half(theta, q * q.sign().where(q < 0, 1.0))
    return p


def relative_error(u, exact):
    """Relative L² error."""
    return ((u - exact).norm() / exact.norm()).item()


def solve_by_book(name, seed):
    """Train with this book's code; its errors, CPU seconds and their record along the way."""
    problem(name, seed)  # loads the chapter, which takes no part in the time either
    log = SimpleNamespace(spent=0.0, start=time.process_time(), record=[])
    p = problem(name, seed)
    chapters_own = p.callback

    def note(theta):  # measuring the error takes no part in the time
        log.spent += time.process_time() - log.start
        log.record.append((log.spent, relative_error(p.solution(theta, p.test), p.exact_test)))
        log.start = time.process_time()

    def callback(k, theta):
        if k % EVERY == EVERY - 1:
            note(theta)
        return chapters_own and chapters_own(k, theta)

    log.spent = time.process_time() - log.start
    p.exact_test = p.exact(p.test)
    p.callback, log.start = callback, time.process_time()
    theta = p.solve(p)
    note(theta)
    coefficient = abs(theta[-1].item() - 1) if p.coefs else None
    return {"error": log.record[-1][1], "coefficient_error": coefficient,
            "cpu_seconds": log.spent, "trace": log.record}
