"""Los capítulos 15 y 16 contra DeepXDE: error y segundos de CPU en un hilo, tres semillas.

    python bench/pinn.py              todo; escribe pinn.json, pinn.md y pinn.svg
    python bench/pinn.py heat wave    solo esos problemas; los demás quedan como estaban
    python bench/pinn.py --quick      una semilla de dos problemas; solo los muestra

Del libro se toman, tal como están en el capítulo, sus importaciones, funciones y
constantes. Cada corrida es un proceso nuevo de un hilo, y mide desde que empieza a
plantear el problema hasta que termina de entrenar, sin contar lo que tarda en medirse.
"""

import ast
import json
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from statistics import median

HERE = Path(__file__).parent
TITLES = {
    "oscillator": "Oscilador", "poisson_1d": "Poisson 1D", "poisson_2d": "Poisson 2D",
    "laplace": "Laplace", "heat": "Calor", "wave": "Onda", "schrodinger": "Schrödinger",
    "burgers": "Burgers", "inverse_diffusion": "Difusión inversa",
}
CODES = {"libro": "este libro", "float32": "DeepXDE, `float32`", "float64": "DeepXDE, `float64`"}
SEEDS = (0, 1, 2)


def load(chapter, *variables):
    """Importaciones, funciones, constantes y esas variables de un capítulo: su espacio de nombres."""
    [path] = HERE.parent.glob(f"book/{chapter}-*.md")
    cells = re.findall(r"^```\{code-cell\} ipython3\n(?:---\n.*?\n---\n|(?::[^\n]*\n)*)(.*?)^```",
                       path.read_text("utf-8"), re.S | re.M)

    def wanted(node):
        if isinstance(node, ast.Assign):
            names = [n.id for n in ast.walk(node.targets[0]) if isinstance(n, ast.Name)]
            return all(re.fullmatch("[A-Z]{2}[A-Z0-9_]*", n) or n in variables for n in names)
        return isinstance(node, (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef))

    body = [node for cell in cells for node in ast.parse(cell).body if wanted(node)]
    space = {}
    exec(compile(ast.Module(body, []), f"<{path.name}>", "exec"), space)
    return space


def oscillator_problem(seed):
    """El oscilador del capítulo 15, con la forma de los problemas del 16."""
    from types import SimpleNamespace

    import torch
    c = load(15, "d", "omega_0", "stretch", "omega", "sizes", "t_train", "t_test")
    theta0 = c["init_params"](c["sizes"], torch.Generator().manual_seed(seed))

    def solution(theta, t):
        return c["position"](t, c["jets"](theta, c["sizes"], c["to_input"](t), ((),))[0][0])

    def solve(p):
        system = c["oscillator_system"](c["t_train"])
        return c["levenberg_marquardt"](system, theta0, 400, callback=p.callback)

    return SimpleNamespace(box=((0.0, 1.0),), solution=solution, exact=c["exact"], coefs=0,
                           callback=None, theta0=theta0), solve


def set_up(name, seed):
    """El problema del libro, quien lo resuelve y los puntos de prueba (N, d) con su solución."""
    c = load(16)
    p, solve = oscillator_problem(seed) if name == "oscillator" else (c[name](seed), c["solve"])
    points = c["grid"](p.box, 201)            # paso 0.005: ve también el choque de Burgers
    return p, solve, points, p.exact(points)


def run_book(name, seed):
    import torch
    torch.set_default_dtype(torch.float64)
    _, _, points, exact = set_up(name, seed)
    start, paused, curve = time.process_time(), 0.0, []
    p, solve, *_ = set_up(name, seed)
    inner = p.callback

    def watch(k, theta):
        nonlocal paused
        now = time.process_time()
        error = ((p.solution(theta, points) - exact).norm() / exact.norm()).item()
        curve.append((round(now - start - paused, 3), float(f"{error:.2e}")))
        paused += time.process_time() - now
        return inner(k, theta) if inner else None

    p.callback = watch
    theta = solve(p)
    watch(None, theta) if inner is None else None
    row = {"seconds": curve[-1][0], "error": curve[-1][1], "curve": thin(curve)}
    return row | ({"coefficient": abs(theta[-1].item() - 1)} if p.coefs else {})


def thin(curve):
    """De la curva (segundos, error), lo que dice desde cuándo el error no vuelve a subir."""
    kept = []
    for seconds, error in reversed(curve):
        if not kept or error > 1.2 * kept[-1][1] or seconds == curve[0][0]:
            kept.append((seconds, error))
    return kept[::-1]


def run_deepxde(name, seed, precision):
    import torch
    torch.set_default_dtype(torch.float64)
    _, _, points, exact = set_up(name, seed)
    import deepxde
    import deepxde_problems
    deepxde.config.set_default_float(precision)
    deepxde.config.set_random_seed(seed)
    start = time.process_time()
    data, network, stages = getattr(deepxde_problems, name)()
    model = deepxde.Model(data, network)
    coefficient = getattr(data, "coefficient", None)
    # en float32 L-BFGS se detiene solo; en float64, para que todo quepa en una hora, en 5000
    deepxde.optimizers.set_LBFGS_options(maxiter=15000 if precision == "float32" else 5000)
    for optimizer, iterations in stages:
        model.compile(optimizer, lr=1e-3 if optimizer == "adam" else None,
                      loss_weights=getattr(data, "loss_weights", None),
                      external_trainable_variables=coefficient, verbose=0)
        model.train(iterations=iterations, display_every=10**9, verbose=0)
    seconds = time.process_time() - start
    u = torch.as_tensor(model.predict(points.numpy().astype(precision)), dtype=torch.float64)
    row = {"seconds": seconds, "error": ((u - exact).norm() / exact.norm()).item()}
    if coefficient is not None:
        row["coefficient"] = abs(coefficient.item() - 1)
    return row


def run_in_process(name, code, seed):
    """Una corrida en un proceso de un solo hilo; su fila, o un error con lo que dijo."""
    done = subprocess.run(
        [sys.executable, __file__, "--one", name, code, str(seed)], capture_output=True, text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "DDE_BACKEND": "pytorch"})
    if done.returncode:
        sys.exit(f"{name}, {code}, semilla {seed}:\n{done.stderr[-3000:]}")
    row = json.loads(done.stdout.splitlines()[-1])
    print(f"{name:18s} {code:8s} semilla {seed}: {row['error']:.1e} en {row['seconds']:.0f} s", flush=True)
    return {"code": code, "seed": seed} | row


def machine():
    """Procesador, núcleos y versiones, para la leyenda de la tabla."""
    import deepxde
    import torch
    cpu = Path("/proc/cpuinfo")
    model = re.search("model name\\s*: (.*)", cpu.read_text())[1] if cpu.exists() else "procesador sin nombre"
    return (f"{model}, {os.cpu_count()} núcleos; Python {sys.version.split()[0]}, "
            f"PyTorch {torch.__version__.split('+')[0]} y DeepXDE {deepxde.__version__}")


def rows(problem, code):
    return [row for row in problem["runs"] if row["code"] == code]


def seconds_to(row, target):
    """Segundos desde los que el error ya no vuelve a pasar de target; infinito si no llega."""
    late = [k for k, (_, error) in enumerate(row["curve"]) if error > target]
    after = late[-1] + 1 if late else 0
    return row["curve"][after][0] if after < len(row["curve"]) else float("inf")


def number(value):
    """2e-05 como se imprime en el libro: 2·10⁻⁵."""
    digit, exponent = f"{value:.0e}".split("e")
    superscript = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
    return f"{digit}·10{str(int(exponent)).translate(superscript)}"


def span(values):
    low, high = number(min(values)), number(max(values))
    return low if low == high else f"{low} a {high}"


def table(results):
    """La tabla en Markdown: medianas de los segundos, y el menor y el mayor error."""
    lines = ["| Problema | Código | Error relativo | Segundos | Este libro llega a ese error en | Veces |",
             "|:--|:--|:--|--:|--:|--:|"]
    for name, title in TITLES.items():
        problem = results.get(name)
        for code in CODES if problem else ():
            group = rows(problem, code)
            seconds = median(row["seconds"] for row in group)
            cells = ["", ""]
            if code != "libro":
                target = median(row["error"] for row in group)
                needed = median(seconds_to(row, target) for row in rows(problem, "libro"))
                cells = ([f"{needed:.1f} s", f"{seconds / needed:.0f}" if seconds > 3 * needed
                          else f"{seconds / needed:.1f}"] if needed < float("inf") else ["no llega", ""])
            errors = span([row["error"] for row in group])
            if "coefficient" in group[0]:
                errors += f"; en $C$, {span([row['coefficient'] for row in group])}"
            lines.append(" | ".join([f"| {title if code == 'libro' else ''}", CODES[code], errors,
                                     f"{seconds:.0f} s", *cells]) + " |")
    missing = [title for name, title in TITLES.items() if name not in results]
    if missing:
        lines += ["", f"Todavía sin medir: {', '.join(missing)}."]
    dates = sorted({results[name]["date"] for name in TITLES if name in results})
    machines = sorted({results[name]["machine"] for name in TITLES if name in results})
    return "\n".join(lines) + f"\n\nMedido el {' y el '.join(dates)} en {'; '.join(machines)}.\n"


def draw(results, path):
    """El error contra los segundos: las curvas del libro y el punto final de DeepXDE."""
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    plt.style.use(HERE.parent / "web/matplotlibrc")
    names = [name for name in TITLES if name in results]
    rows_of_panels = -(-len(names) // 3)
    fig, axes = plt.subplots(rows_of_panels, 3, figsize=(7.6, 0.6 + 2.2 * rows_of_panels),
                             sharex=True, sharey=True, squeeze=False)
    for ax in axes.flat[len(names):]:
        ax.set_axis_off()
    for ax, name in zip(axes.flat, names):
        for row in rows(results[name], "libro"):
            ax.step(*zip(*row["curve"]), where="post", color="C0", lw=1.2, label="este libro")
        for code, marker, color in (("float32", "o", "C1"), ("float64", "^", "C2")):
            group = rows(results[name], code)
            ax.plot([r["seconds"] for r in group], [r["error"] for r in group], marker, ls="none",
                    mfc="none", color=color, label=CODES[code].replace("`", ""))
        ax.set(xscale="log", yscale="log", ylim=(1e-12, 10))
        ax.text(0.05, 0.06, TITLES[name], transform=ax.transAxes)
    handles = dict(zip(*axes.flat[0].get_legend_handles_labels()[::-1]))
    fig.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=3)
    fig.supxlabel("segundos de CPU, en un hilo")
    fig.supylabel("error relativo")
    fig.savefig(path, metadata={"Date": None})


def main(arguments):
    if arguments[:1] == ["--one"]:
        name, code, seed = arguments[1:]
        run = run_book(name, int(seed)) if code == "libro" else run_deepxde(name, int(seed), code)
        return print("\n" + json.dumps(run))
    quick = arguments == ["--quick"]
    names = ["poisson_1d", "heat"] if quick else arguments or list(TITLES)
    if unknown := [name for name in names if name not in TITLES]:
        sys.exit(f"No hay un problema {', '.join(unknown)}. Los que hay: {', '.join(TITLES)}")
    data = HERE / "pinn.json"
    results = {} if quick or not data.exists() else json.loads(data.read_text())
    for name in names:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            jobs = [(name, code, seed) for seed in SEEDS[:1 if quick else None] for code in CODES]
            runs = list(pool.map(lambda job: run_in_process(*job), jobs))
        results[name] = {"date": date.today().isoformat(), "machine": machine(), "runs": runs}
        if not quick:
            data.write_text(json.dumps(results, indent=1))
    print(table(results))
    if not quick:
        (HERE / "pinn.md").write_text(table(results), "utf-8")
        draw(results, HERE / "pinn.svg")


if __name__ == "__main__":
    main(sys.argv[1:])
