"""What the chapters build by hand, against PyTorch, on cases that hypothesis chooses.

The code is the chapters' own: their definitions, without their trainings.
"""

import math

import numpy as np
import pytest
import torch
from chapters import load
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.func import hessian, jacrev, vmap
from torch.nn import functional as F

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")  # torch's own
settings.register_profile("fixed", derandomize=True, deadline=None, database=None, max_examples=60)
settings.load_profile("fixed")

graph = load(
    "02-grafo-computacional",
    "Graph", "Graph.forward, Graph.backward", "tangents", "Value", "for method, op in operators", "Value.__neg__ =",
    "apply",
    "ADD", "SUB", "MUL", "DIV", "POW", "SIN", "COS", "EXP", "LOG", "TANH", "RELU",
    "Array", "matmul", "add_bias", "tanh", "mean_square_error")
optim = load(
    "06-optimizadores",
    "sgd_step", "adam_step", "adamw_step", "sgd_decoupled_step", "nesterov_step_solution")
conv = load("09-convolucion", "conv2d_loops", "conv2d_unfold")
cells = load(
    "10-recurrentes",
    "weights", "rnn", "bptt", "gru_torch", "gru_classic", "to_classic", "lstm", "copy_weights")
pinn = load(
    "15-optimizar-una-pinn",
    "gauss_newton_step", "damped_step", "levenberg_marquardt", "jets", "residual_system")

seeds = st.integers(0, 2**32 - 1)
small = st.integers(1, 4)


@pytest.fixture(autouse=True)
def double_precision():
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(default)


def close(ours, theirs, tolerance=1e-9):
    """Equal up to rounding, on the scale of the largest value."""
    ours, theirs = (
        x.detach() if torch.is_tensor(x) else torch.as_tensor(np.asarray(x)) for x in (ours, theirs))
    scale = max(1.0, theirs.abs().max().item())
    torch.testing.assert_close(ours, theirs, rtol=0, atol=tolerance * scale)


OPERATIONS = {  # operation of the chapter, the same in torch, and the arguments that it admits
    "ADD": (torch.add, lambda a, b: True), "SUB": (torch.sub, lambda a, b: True),
    "MUL": (torch.mul, lambda a, b: True), "DIV": (torch.div, lambda a, b: abs(b) > 0.1),
    "POW": (torch.pow, lambda a, b: a > 0.1 and abs(b) < 3), "SIN": (torch.sin, lambda a: True),
    "COS": (torch.cos, lambda a: True), "EXP": (torch.exp, lambda a: a < 3),
    "LOG": (torch.log, lambda a: a > 0.1), "TANH": (torch.tanh, lambda a: True),
    "RELU": (torch.relu, lambda a: abs(a) > 1e-3),
}


@st.composite
def programs(draw):
    """Three numbers and operations on numbers already computed: (inputs, [(name, arguments)])."""
    values = draw(st.lists(st.floats(-2, 2, width=32), min_size=3, max_size=3))
    inputs, program = list(values), []
    for name in draw(st.lists(st.sampled_from(sorted(OPERATIONS)), min_size=1, max_size=15)):
        admits = OPERATIONS[name][1]
        arity = admits.__code__.co_argcount
        chosen = draw(st.lists(st.integers(0, len(values) - 1), min_size=arity, max_size=arity))
        args = [values[i] for i in chosen]
        if admits(*args) and abs(value := getattr(graph, name).forward(*args)) < 100:
            values.append(value)
            program.append((name, chosen))
    return inputs, program


@given(programs())
def test_graph_engines(case):
    """Explicit graph, forward mode and implicit graph: value and gradient of the sum of it all."""
    inputs, program = case
    theirs = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in inputs]
    implicit = [graph.Value(v) for v in inputs]
    explicit = graph.Graph()
    names = [explicit.input(f"v{k}", v) for k, v in enumerate(inputs)]
    tensors, values = list(theirs), list(implicit)
    for k, (name, chosen) in enumerate(program):
        op = getattr(graph, name)
        tensors.append(OPERATIONS[name][0](*(tensors[i] for i in chosen)))
        values.append(graph.apply(op, *(values[i] for i in chosen)))
        names.append(explicit.add(f"w{k}", op, *(names[i] for i in chosen)))
    total, output = values[0], names[0]
    for k, (value, name) in enumerate(zip(values[1:], names[1:])):
        total, output = total + value, explicit.add(f"s{k}", graph.ADD, output, name)
    expected = torch.stack(tensors).sum()
    gradient = torch.stack(torch.autograd.grad(expected, theirs))
    explicit.forward()
    adjoints = explicit.backward(output)
    total.backward()
    close([explicit.values[output], total.data], [expected.item()] * 2)
    close([adjoints[n] for n in names[:3]], gradient)
    close([graph.tangents(explicit, n)[output] for n in names[:3]], gradient)
    close([v.adjoint for v in implicit], gradient)


@given(st.floats(-2, 2))
def test_operators_with_constants(number):
    ours, theirs = graph.Value(number), torch.tensor(number, requires_grad=True)
    results = [3 - 2 / (4 + 2**x * x) + 5 * -x for x in (ours, theirs)]
    for result in results:
        result.backward()
    close([results[0].data, ours.adjoint], [results[1].item(), theirs.grad.item()])


@given(seeds, st.lists(small, min_size=2, max_size=4), small)
def test_tape(seed, sizes, rows):
    """The vectorised engine, on networks of any size."""
    rng = np.random.default_rng(seed)
    tape, X, Y = [], rng.normal(size=(rows, sizes[0])), rng.normal(size=(rows, sizes[-1]))
    parameters = [rng.normal(size=s) for i, o in zip(sizes, sizes[1:]) for s in ((i, o), (o,))]
    ours = [graph.Array(p, tape) for p in parameters]
    theirs = [torch.tensor(p, requires_grad=True) for p in parameters]
    h, t = graph.Array(X, tape), torch.tensor(X)
    for k in range(0, len(parameters), 2):
        h = graph.tanh(graph.add_bias(graph.matmul(h, ours[k]), ours[k + 1]))
        t = torch.tanh(t @ theirs[k] + theirs[k + 1])
    loss, expected = graph.mean_square_error(h, Y), F.mse_loss(t, torch.tensor(Y))
    loss.backward()
    close(loss.data, expected)
    for node, gradient in zip(ours, torch.autograd.grad(expected, theirs)):
        close(node.adjoint, gradient)


@given(seeds, small, small, small, st.tuples(small, small), st.tuples(*[st.integers(1, 7)] * 2),
       small, st.integers(0, 3), st.integers(1, 3))
def test_convolution(seed, N, C, O, kernel, image, s, p, d):
    assume(all(n + 2 * p > d * (k - 1) for n, k in zip(image, kernel)))
    gen = torch.Generator().manual_seed(seed)
    x, weight, bias = (torch.randn(*shape, generator=gen) for shape in ((N, C, *image), (O, C, *kernel), (O,)))
    expected = F.conv2d(x, weight, bias, s, p, d)
    close(conv.conv2d_loops(x, weight, bias, s, p, d), expected)
    close(conv.conv2d_unfold(x, weight, bias, s, p, d), expected)


@given(seeds, small, small, small, small)
def test_recurrent_cells(seed, B, D, H, T):
    torch.manual_seed(seed)
    x, a, c = torch.randn(T, B, D), torch.randn(B, H), torch.randn(B, H)
    gru, lstm = nn.GRUCell(D, H), nn.LSTMCell(D, H)
    for parameter in (*gru.parameters(), *lstm.parameters()):
        nn.init.normal_(parameter)
    p = cells.copy_weights(gru, "rzn")
    close(cells.gru_torch(x[0], c, p), gru(x[0], c))
    diagonal = p | {"U_n": torch.diag(torch.randn(H)), "d_n": torch.zeros(H)}
    close(cells.gru_classic(x[0], c, cells.to_classic(diagonal)), cells.gru_torch(x[0], c, diagonal))
    state = a, c
    for x_t in x:
        ours = cells.lstm(x_t, *state, cells.copy_weights(lstm, "ifgo"))
        state = lstm(x_t, state)
        close(ours[0], state[0])
        close(ours[1], state[1])


@given(seeds, small, small, small, small)
def test_rnn_and_its_gradient(seed, D, H, K, T):
    torch.manual_seed(seed)
    core, readout = nn.RNN(D, H), nn.Linear(H, K)
    x, a, target = torch.randn(T, D), torch.randn(H), torch.randn(T, K)
    parameters = {"W_aa": core.weight_hh_l0, "W_ax": core.weight_ih_l0, "W_ya": readout.weight,
                  "b_a": core.bias_hh_l0, "b_y": readout.bias}
    p = {name: w.detach().numpy().copy() for name, w in parameters.items()}
    p["b_a"] += core.bias_ih_l0.detach().numpy()
    states, outputs = cells.rnn(x.numpy(), a.numpy(), p)
    expected = core(x, a[None])[0]
    y = readout(expected)
    close(states, expected)
    close(outputs, y)
    gradient = cells.bptt(x.numpy(), target.numpy(), a.numpy(), p)
    (((y - target) ** 2).sum(1).mean() / 2).backward()
    for name, parameter in parameters.items():
        close(gradient[name], parameter.grad)


STEPS = {
    "SGD": (optim.sgd_step, torch.optim.SGD, {"momentum": st.floats(0, 0.99)}),
    "SGD, decay apart": (optim.sgd_decoupled_step, torch.optim.SGD, {}),
    "Nesterov": (optim.nesterov_step_solution, torch.optim.SGD, {"momentum": st.floats(0.1, 0.99)}),
    "Adam": (optim.adam_step, torch.optim.Adam, {
        "betas": st.tuples(st.floats(0, 0.99), st.floats(0.5, 0.9999)), "eps": st.floats(1e-8, 1e-2)}),
}
STEPS["AdamW"] = (optim.adamw_step, torch.optim.AdamW, STEPS["Adam"][2])


@pytest.mark.parametrize("name", STEPS)
@given(seeds, st.lists(small, min_size=0, max_size=3), st.floats(1e-4, 0.5), st.floats(0, 0.5), st.data())
@settings(max_examples=30)
def test_optimizers(name, seed, shape, lr, weight_decay, data):
    step, optimizer_class, others = STEPS[name]
    options = {key: data.draw(strategy, key) for key, strategy in others.items()}
    options |= {"lr": lr, "weight_decay": weight_decay}
    gen = torch.Generator().manual_seed(seed)
    theirs = [torch.randn(*shape, 2, generator=gen), torch.randn(3, generator=gen)]
    ours, state = [p.clone() for p in theirs], {}
    optimizer = optimizer_class(theirs, **options, **({"nesterov": True} if name == "Nesterov" else {}))
    for _ in range(10):
        for p, q in zip(ours, theirs):
            p.grad = q.grad = torch.randn(*q.shape, generator=gen)
        step(ours, state, **options)
        optimizer.step()
    for p, q in zip(ours, theirs):
        close(p, q)


@given(seeds, st.integers(1, 6), st.integers(0, 6), st.floats(0, 0.3))
def test_least_squares(seed, P, more, bend):
    """Linear and mildly bent residuals: the minimum that lstsq finds, or one it would not leave."""
    gen = torch.Generator().manual_seed(seed)
    Q, _ = torch.linalg.qr(torch.randn(P + more, P, generator=gen))
    A = Q * torch.logspace(0, -1, P) @ torch.linalg.qr(torch.randn(P, P, generator=gen))[0]
    b, start = torch.randn(P + more, generator=gen), torch.randn(P, generator=gen)

    def residuals(theta):
        return A @ (theta + bend * torch.sin(theta)) - b

    def system(theta, jacobian=True):
        r = residuals(theta)
        return (r, jacrev(residuals)(theta)) if jacobian else r

    def by_lstsq(r, J):
        return torch.linalg.lstsq(J, -r[:, None]).solution[:, 0]

    found = pinn.levenberg_marquardt(system, start, 200)
    close(by_lstsq(*system(found)), torch.zeros(P), 1e-6)      # 1e-6: the loss is flat up to rounding
    if bend == 0:
        close(found, start + by_lstsq(*system(start)), 1e-6)
    r, J = system(start)
    close(pinn.gauss_newton_step(r, J), by_lstsq(r, J))
    mu = 0.1 + bend
    close(pinn.damped_step(r, J, mu), torch.linalg.solve(J.T @ J + mu * torch.eye(P), -J.T @ r))


@given(seeds, st.integers(1, 3), st.lists(small, min_size=1, max_size=3), small)
def test_jets(seed, d, sizes, N):
    """Every first and second derivative of a network, and the jacobian of residuals made of them."""
    gen = torch.Generator().manual_seed(seed)
    sizes = (d, *sizes)
    P = sum((i + 1) * o for i, o in zip(sizes, sizes[1:]))
    theta, x = torch.randn(P, generator=gen), torch.randn(N, d, generator=gen)

    def net(theta, x):
        for n_in, n_out in zip(sizes, sizes[1:]):
            W, b, theta = theta.tensor_split([n_in * n_out, (n_in + 1) * n_out])
            z = W.view(n_out, n_in) @ x + b
            x = torch.tanh(z)
        return z

    def derivatives(theta, x):
        at = lambda x: net(theta, x)
        return at(x), jacrev(at)(x), hessian(at)(x)

    pairs = [(i, j) for i in range(d) for j in range(d)]
    orders = ((), *((i,) for i in range(d)), *pairs)
    value, slope, bend = vmap(derivatives, (None, 0))(theta, x)
    u = pinn.jets(theta, sizes, x, orders)[0]
    close(u, torch.stack([value, *slope.unbind(-1), *(bend[..., i, j] for i, j in pairs)]))

    system = pinn.residual_system(sizes, [(x, orders, lambda u, coef: u[0, :, 0] * u[1, :, 0] + u[-1].sum(1) ** 2)])

    def residual(theta, x):
        value, slope, bend = derivatives(theta, x)
        return value[0] * slope[0, 0] + bend[:, -1, -1].sum() ** 2

    r, J = system(theta)
    close(r, vmap(residual, (None, 0))(theta, x))
    close(J, vmap(jacrev(residual), (None, 0))(theta, x))
    assert torch.equal(system(theta, False), r) and math.isfinite(r.sum())
