"""Los problemas de los capítulos 15 y 16 resueltos con DeepXDE, con los ajustes de sus ejemplos.

Cada función devuelve (data, net, stages); una etapa es (optimizador, iteraciones). Su
docstring dice de qué ejemplo de DeepXDE 1.15 vienen los puntos, la red y las etapas, y
qué cambia. La tasa de Adam es 0.001 en todos; data.loss_weights, si está, son los pesos. El
tope de L-BFGS es el de la biblioteca, 15 000, en float32, y 5000 en float64 (en pinn.py).
"""

import deepxde as dde
import numpy as np
import torch

PI = np.pi


def everywhere(_, on_boundary):
    return on_boundary


def at_start(_, on_initial):
    return on_initial


def space_time(left, right, end):
    return dde.geometry.GeometryXTime(
        dde.geometry.Interval(left, right), dde.geometry.TimeDomain(0, end)
    )


def d(u, x, axis, component=0):
    return dde.grad.jacobian(u, x, i=component, j=axis)


def dd(u, x, axis, component=0):
    return dde.grad.hessian(u, x, component=component, i=axis, j=axis)


def mlp(inputs, width, depth, outputs=1, initializer="Glorot normal"):
    return dde.nn.FNN([inputs] + [width] * depth + [outputs], "tanh", initializer)


def oscillator():
    """Sin ejemplo: la red de ode_2nd.py, 200 puntos y las etapas de heat.py.

    El peso de la ecuación es el mejor de 0.01 (el de ode_2nd.py), 0.001 y 0.0001.
    """
    domain = dde.geometry.TimeDomain(0, 1)

    def pde(t, x):
        return dd(x, t, 0) + 2 * 2.0 * d(x, t, 0) + 20.0**2 * x

    start = dde.icbc.IC(domain, lambda t: 1, at_start)
    rest = dde.icbc.OperatorBC(
        domain, lambda t, x, _: d(x, t, 0), lambda t, _: dde.utils.isclose(t[0], 0)
    )
    data = dde.data.TimePDE(domain, pde, [start, rest], 200, 2)
    data.loss_weights = [0.001, 1, 1]
    network = mlp(1, 50, 3, initializer="Glorot uniform")
    return data, network, [("adam", 20000), ("L-BFGS", None)]


def poisson_1d():
    """Poisson_Dirichlet_1d.py, sin cambios."""
    domain = dde.geometry.Interval(-1, 1)

    def pde(x, u):
        return -dd(u, x, 0) - PI**2 * torch.sin(PI * x)

    bc = dde.icbc.DirichletBC(domain, lambda x: np.sin(PI * x), everywhere)
    data = dde.data.PDE(domain, pde, bc, 16, 2)
    return data, mlp(1, 50, 3, initializer="Glorot uniform"), [("adam", 10000)]


def poisson_2d():
    """Poisson_Lshape.py, en el cuadrado, con 15 000 iteraciones de Adam y no 50 000."""
    domain = dde.geometry.Rectangle([0, 0], [1, 1])

    def pde(x, u):
        f = 2 * PI**2 * torch.sin(PI * x[:, :1]) * torch.sin(PI * x[:, 1:])
        return -dd(u, x, 0) - dd(u, x, 1) - f

    bc = dde.icbc.DirichletBC(domain, lambda x: 0, everywhere)
    data = dde.data.PDE(domain, pde, bc, 1200, 120)
    network = mlp(2, 50, 4, initializer="Glorot uniform")
    return data, network, [("adam", 15000), ("L-BFGS", None)]


def laplace():
    """Laplace_disk.py, en el cuadrado y con las coordenadas como entrada."""
    domain = dde.geometry.Rectangle([0, 0], [1, 1])

    def pde(x, u):
        return dd(u, x, 0) + dd(u, x, 1)

    def edge(x):
        return np.sin(PI * x[:, :1]) * np.sinh(PI * x[:, 1:]) / np.sinh(PI)

    bc = dde.icbc.DirichletBC(domain, edge, everywhere)
    data = dde.data.PDE(domain, pde, bc, 2540, 80)
    return data, mlp(2, 20, 3), [("adam", 15000)]


def heat():
    """heat.py, sin cambios."""
    domain = space_time(0, 1, 1)

    def pde(x, u):
        return d(u, x, 1) - 0.4 * dd(u, x, 0)

    bc = dde.icbc.DirichletBC(domain, lambda x: 0, everywhere)
    ic = dde.icbc.IC(domain, lambda x: np.sin(PI * x[:, :1]), at_start)
    data = dde.data.TimePDE(domain, pde, [bc, ic], 2540, 80, 160)
    return data, mlp(2, 20, 3), [("adam", 20000), ("L-BFGS", None)]


def wave():
    """wave_1d.py tiene otro c y otra red; aquí, heat.py con menos Adam."""
    domain = space_time(0, 1, 1)

    def pde(x, u):
        return dd(u, x, 1) - dd(u, x, 0)

    def start(x):
        return np.sin(PI * x[:, :1]) + 0.5 * np.sin(2 * PI * x[:, :1])

    bc = dde.icbc.DirichletBC(domain, lambda x: 0, everywhere)
    ic = dde.icbc.IC(domain, start, at_start)
    rest = dde.icbc.OperatorBC(
        domain, lambda x, u, _: d(u, x, 1), lambda x, _: dde.utils.isclose(x[1], 0)
    )
    data = dde.data.TimePDE(domain, pde, [bc, ic, rest], 2540, 80, 160)
    return data, mlp(2, 20, 3), [("adam", 15000), ("L-BFGS", None)]


def schrodinger():
    """Schrodinger.ipynb resuelve la no lineal; aquí, heat.py con menos Adam."""
    domain = space_time(-6, 6, PI)

    def pde(x, u):
        re, im, V = u[:, :1], u[:, 1:], x[:, :1] ** 2 / 2
        return [
            d(u, x, 1, 0) + dd(u, x, 0, 1) / 2 - V * im,
            d(u, x, 1, 1) - dd(u, x, 0, 0) / 2 + V * re,
        ]

    def start(x):
        s = x[:, :1]
        return PI**-0.25 * np.exp(-(s**2) / 2) * (1 + np.sqrt(2) * s) / np.sqrt(2)

    edges = [dde.icbc.DirichletBC(domain, lambda x: 0, everywhere, component=k) for k in (0, 1)]
    starts = [
        dde.icbc.IC(domain, start, at_start, component=0),
        dde.icbc.IC(domain, lambda x: 0, at_start, component=1),
    ]
    data = dde.data.TimePDE(domain, pde, edges + starts, 2540, 80, 160)
    return data, mlp(2, 20, 3, 2), [("adam", 15000), ("L-BFGS", None)]


def burgers():
    """Burgers.py, sin cambios."""
    domain = space_time(-1, 1, 0.99)

    def pde(x, u):
        return d(u, x, 1) + u * d(u, x, 0) - 0.01 / PI * dd(u, x, 0)

    bc = dde.icbc.DirichletBC(domain, lambda x: 0, everywhere)
    ic = dde.icbc.IC(domain, lambda x: -np.sin(PI * x[:, :1]), at_start)
    data = dde.data.TimePDE(domain, pde, [bc, ic], 2540, 80, 160)
    return data, mlp(2, 20, 3), [("adam", 15000), ("L-BFGS", None)]


def inverse_diffusion():
    """diffusion_1d_inverse.py, sin cambios; el coeficiente queda en data.coefficient."""
    domain = space_time(-1, 1, 1)
    C = dde.Variable(2.0)

    def pde(x, u):
        source = torch.exp(-x[:, 1:]) * (1 - PI**2) * torch.sin(PI * x[:, :1])
        return d(u, x, 1) - C * dd(u, x, 0) + source

    def exact(x):
        return np.sin(PI * x[:, :1]) * np.exp(-x[:, 1:])

    bc = dde.icbc.DirichletBC(domain, exact, everywhere)
    ic = dde.icbc.IC(domain, exact, at_start)
    spots = np.stack([np.linspace(-1, 1, 10), np.ones(10)], axis=1)
    observed = dde.icbc.PointSetBC(spots, exact(spots))
    data = dde.data.TimePDE(domain, pde, [bc, ic, observed], 40, 20, 10, anchors=spots)
    data.coefficient = C
    return data, mlp(2, 32, 3, initializer="Glorot uniform"), [("adam", 50000)]
