"""The results as MyST tables, from results.json alone."""

from statistics import median

from settings import CODES, LBFGS, NAMES, SEEDS, SETTINGS, SHORTER

PRECISIONS = ("float32", "float64")


def power(x):
    """A number with one digit, as a book prints it: 5·10⁻⁴, or 0.3."""
    digit, exponent = f"{x:.0e}".split("e")
    if int(exponent) >= -2:
        return f"{x:.1g}"
    return f"{digit}·10{str(int(exponent)).translate(str.maketrans('-0123456789', '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'))}"


def seconds(x):
    """Seconds, with two digits below ten."""
    return f"{x:.1f}" if x < 9.95 else f"{x:.0f}"


def thousands(n):
    """An integer, with its thousands apart."""
    return f"{n:,}".replace(",", " ")


def of(rows, problem, code, precision):
    """The rows of one problem, code and precision, by seed."""
    return sorted((r for r in rows if (r["problem"], r["code"], r["precision"]) == (problem, code, precision)),
                  key=lambda r: r["seed"])


def middle(rows, key, form):
    """The median over seeds, formatted."""
    return form(median(r[key] for r in rows)) if rows else "—"


def reached(rows):
    """Median CPU seconds that this book's code needs for DeepXDE's own error."""
    times = [r["book_seconds"] for r in rows]
    if None in times:
        return f"no llega ({times.count(None)} de {len(times)})"
    return seconds(median(times)) if times else "—"


def lost(rows):
    """The rows of DeepXDE whose error this book's code reaches later, or never."""
    return [r for r in rows if r["code"] == "DeepXDE"
            and (r["book_seconds"] is None or r["book_seconds"] >= r["cpu_seconds"])]


def table(name, caption, head, body):
    """A MyST table whose first column is text."""
    lines = ["| " + " | ".join(map(str, line)) + " |" for line in (head, ["---"] + ["--:"] * (len(head) - 1), *body)]
    return "\n".join([f"```{{table}} {caption}", f":name: {name}", "", *lines, "```", ""])


def summary(rows):
    """One row per problem: medians over the seeds."""
    body = []
    for problem, name in NAMES.items():
        book, *theirs = (of(rows, problem, *code) for code in CODES)
        body.append([name, *(middle(r, key, form) for r in (*theirs, book)
                             for key, form in (("error", power), ("cpu_seconds", seconds))),
                     *map(reached, theirs)])
    head = ["problema"] + [f"{code}: {what}" for code in ("DeepXDE `float32`", "DeepXDE `float64`", "este libro")
                           for what in ("error", "s")] + ["igualar `float32` (s)", "igualar `float64` (s)"]
    return table("tab-med-resumen", f"Error $L^2$ relativo final y segundos de CPU: mediana de las semillas "
                 f"{', '.join(map(str, SEEDS))}. Las dos últimas columnas son los segundos que necesita este libro "
                 "para llegar al error final de DeepXDE.", head, body)


def detail(rows):
    """Every measurement, and the iterations."""
    body = []
    for problem, name in NAMES.items():
        for code, precision in CODES:
            group = of(rows, problem, code, precision)
            by_seed = {r["seed"]: r for r in group}
            cells = [power(by_seed[s]["error"]) if s in by_seed else "—" for s in SEEDS]
            cells += [seconds(by_seed[s]["cpu_seconds"]) if s in by_seed else "—" for s in SEEDS]
            label = "este libro" if code == "libro" else f"DeepXDE `{precision}`"
            body.append([f"{name}, {label}", *cells])
            if group and group[0]["coefficient_error"] is not None:
                body.append([f"{name}, {label}: coeficiente",
                             *(power(by_seed[s]["coefficient_error"]) if s in by_seed else "—" for s in SEEDS),
                             "", "", ""])
    head = ["problema y código", *(f"error, semilla {s}" for s in SEEDS), *(f"s, semilla {s}" for s in SEEDS)]
    return table("tab-med-detalle", "Todas las mediciones: error final y segundos de CPU de cada semilla.", head, body)


def settings(rows):
    """Where DeepXDE's settings come from."""
    body = []
    for problem, name in NAMES.items():
        s = SETTINGS[problem]
        points = " + ".join(thousands(s[k]) for k in ("domain", "boundary", "initial") if k in s)
        net = f"{len(s['layers'])} × {s['layers'][0]}, {s.get('activation', 'tanh')}"
        steps = [f"Adam {thousands(s['adam'])}" + (", L-BFGS" if s.get("lbfgs") else ""),
                 f"Adam {thousands(s['adam'] // SHORTER)}, L-BFGS"]
        body.append([name, f"`{s['demo']}`", "el mismo" if s["same"] else "otro", points, net, *steps])
    head = ["problema", "demo", "su problema", "puntos", "capas × ancho", "`float32`", "`float64`"]
    return table("tab-med-demos", "La demo de DeepXDE de la que sale cada configuración. Puntos: en el dominio, en el "
                 f"borde y, si hay tiempo, al comienzo. L-BFGS se detiene a las {thousands(LBFGS['float32'])} "
                 f"iteraciones en `float32` y a las {thousands(LBFGS['float64'])} en `float64`, o antes, si converge.",
                 head, body)


def verdict(rows):
    """What the comparison says, in sentences."""
    theirs = [r for r in rows if r["code"] == "DeepXDE"]
    wins = [r for r in theirs if r not in lost(rows)]
    say = [f"Hay {len(rows)} mediciones de {len(NAMES) * len(CODES) * len(SEEDS)}."
           + ("" if len(rows) == len(NAMES) * len(CODES) * len(SEEDS) else
              " Las que faltan, marcadas con una raya, las completa `make bench`.")]
    if wins:
        ratios = [r["cpu_seconds"] / max(r["book_seconds"], 0.01) for r in wins]
        say.append(f"En {len(wins)} de las {len(theirs)} comparaciones, este libro llega antes al error final de "
                   f"DeepXDE: entre {min(ratios):.2g} y {max(ratios):.2g} veces antes, y la mediana es "
                   f"{median(ratios):.2g}.")
    if lost(rows):
        say.append("Pierde en " + "; ".join(f"{NAMES[r['problem']]}, `{r['precision']}`, semilla {r['seed']}"
                                             for r in lost(rows)) + ".")
    else:
        say.append("En ninguna pierde por ese criterio.")
    machines = sorted({f"{r['machine']}, {r['date']}" for r in rows})
    packages = sorted({f"{k} {v}" for r in rows for k, v in r["versions"].items()})
    say.append(f"Máquina y fecha: {'; '.join(machines)}. Versiones: {', '.join(packages)}.")
    return "\n".join(say) + "\n"


def render(rows):
    """The whole generated part of the page."""
    note = "<!-- Lo escribe `make bench` a partir de bench/results.json: no se edita. -->\n"
    return "\n".join([note, verdict(rows), summary(rows), detail(rows), settings(rows)])
