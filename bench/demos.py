"""The same problems with DeepXDE and the settings of its demos."""

import os
import time

os.environ["DDE_BACKEND"] = "pytorch"
import deepxde as dde  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402

from problems import problem, relative_error  # noqa: E402
from settings import LBFGS, SETTINGS, SHORTER  # noqa: E402


def derivative(y, x, order):
    """A derivative of every output of the net, (N, m)."""
    outputs = range(y.shape[1])
    if not order:
        return y
    if len(order) == 1:
        parts = [dde.grad.jacobian(y, x, i=c, j=order[0]) for c in outputs]
    else:
        parts = [dde.grad.hessian(y, x, component=c, i=order[0], j=order[1]) for c in outputs]
    return torch.cat(parts, 1)


def build(name, p, s):
    """DeepXDE's data, net and unknown coefficient for a problem, with settings s."""
    C = dde.Variable(2.0) if p.coefs else None

    def residual(x, y):
        U = torch.stack([derivative(y, x, order) for order in p.orders])
        return list(p.equation(x, U, C).reshape(len(x), -1).split(1, 1))

    def exact(x):
        return p.exact(torch.as_tensor(x, dtype=torch.float64)).numpy()

    def component(c):
        return lambda x: exact(x)[:, c:c + 1]

    lo, hi = zip(*p.box)
    if p.time is None:
        geometry = dde.geometry.Rectangle(lo, hi) if len(lo) == 2 else dde.geometry.Interval(*lo, *hi)
    else:
        geometry = dde.geometry.TimeDomain(lo[-1], hi[-1])
        if len(lo) == 2:
            geometry = dde.geometry.GeometryXTime(dde.geometry.Interval(lo[0], hi[0]), geometry)
    outputs, conditions, anchors, initial = exact(p.test[:1]).shape[1], [], None, {}
    for c in range(outputs):
        if len(p.box) > (p.time is not None) and not s.get("hard"):
            conditions.append(dde.icbc.DirichletBC(geometry, component(c), lambda x, on: on, component=c))
    for c in range(outputs if p.time is not None else 0):
        conditions.append(dde.icbc.IC(geometry, component(c), lambda x, on: on, component=c))
    if name in ("wave", "oscillator"):  # they start at rest
        conditions.append(dde.icbc.OperatorBC(
            geometry, lambda x, y, _: dde.grad.jacobian(y, x, i=0, j=p.time),
            lambda x, on: dde.utils.isclose(x[p.time], 0)))
    if C is not None:  # ten exact readings at the end
        anchors = np.stack([np.linspace(-1, 1, 10), np.ones(10)], 1)
        conditions.append(dde.icbc.PointSetBC(anchors, exact(anchors)))
    if p.time is not None:
        initial = {"num_initial": s.get("initial", 0)}
    data = (dde.data.PDE if p.time is None else dde.data.TimePDE)(
        geometry, residual, conditions, s["domain"], s["boundary"], anchors=anchors, **initial)
    net = dde.nn.FNN([len(p.box), *s["layers"], outputs], s.get("activation", "tanh"),
                     s.get("init", "Glorot uniform"))
    if s.get("hard"):
        net.apply_output_transform(lambda x, y: p.D(*x.split(1, 1)) * y)
    return data, net, C


class StopWhenStill(dde.callbacks.Callback):
    """End a round of L-BFGS that did not move: DeepXDE 1.15.0 would repeat it for ever."""

    step = None

    def on_epoch_end(self):
        self.model.stop_training = self.step == self.model.train_state.step
        self.step = self.model.train_state.step


def solve_by_deepxde(name, seed, precision, adam=None, lbfgs=None):
    """Train with DeepXDE; its errors and CPU seconds. adam, lbfgs: iterations, if not the settings'."""
    p, s, double = problem(name, seed), SETTINGS[name], precision == "float64"
    dde.config.set_default_float(precision)
    dde.config.set_random_seed(seed)
    silent = {"display_every": 10**9, "verbose": 0}
    start = time.process_time()
    data, net, C = build(name, p, s)
    model = dde.Model(data, net)
    options = {"loss_weights": s.get("weights"), "external_trainable_variables": C, "verbose": 0}
    model.compile("adam", lr=1e-3, **options)
    model.train(iterations=adam or s["adam"] // (SHORTER if double else 1), **silent)
    first = model.train_state.step
    if s.get("lbfgs") or double:
        limits, tolerance = {"maxiter": lbfgs or LBFGS[precision]}, {"gtol": 0} if double else {}
        dde.optimizers.set_LBFGS_options(**limits, **tolerance)
        model.compile("L-BFGS", **options)
        model.train(callbacks=[StopWhenStill()], **silent)
    seconds = time.process_time() - start
    torch.set_default_dtype(torch.float64)
    u = torch.tensor(model.predict(p.test.numpy().astype(precision))).double()
    return {"error": relative_error(u, p.exact(p.test)),
            "coefficient_error": None if C is None else abs(C.item() - 1), "cpu_seconds": seconds,
            "adam": int(first), "lbfgs": int(model.train_state.step - first)}
