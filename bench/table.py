"""The results as MyST, from the rows of results.json alone."""

from statistics import median

from settings import CODES, LBFGS, NAMES, SEEDS, SETTINGS, SHORTER

SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def power(x):
    """A number with one digit, as a book prints it: 5·10⁻⁴, or 0.03."""
    digit, exponent = f"{x:.0e}".split("e")
    return f"{digit}·10{str(int(exponent)).translate(SUPERSCRIPTS)}" if int(exponent) < -2 else f"{x:.1g}"


def brief(x):
    """Seconds, with two digits below ten; a dash for None."""
    return "—" if x is None else f"{x:.1f}" if x < 9.95 else f"{x:.0f}"


def thousands(n):
    return f"{n:,}".replace(",", "\u202f")


def times(x):
    """A ratio, with two digits."""
    return f"{x:.1f}" if x < 9.95 else thousands(int(float(f"{x:.2g}")))


def advantage(row):
    """How many times sooner this book's code has DeepXDE's own error; 0 if it never has."""
    return row["cpu_seconds"] / row["book_seconds"] if row["book_seconds"] else 0


def measurements(rows):
    """One line per problem and code, with the seeds in order."""
    lines = []
    for (problem, name), (code, precision) in [(n, c) for n in NAMES.items() for c in CODES]:
        group = sorted((r for r in rows if (r["problem"], r["code"], r["precision"]) == (problem, code, precision)),
                       key=lambda r: r["seed"])

        def cell(key, form):
            return ", ".join(form(r[key]) for r in group if key in r) or "—"

        theirs, ready = code == "DeepXDE", [advantage(r) for r in group if "book_seconds" in r]
        lines.append([name if not theirs else "", f"DeepXDE\u00a0{precision}" if theirs else "este\u00a0libro",
                      cell("error", power), cell("cpu_seconds", brief),
                      *([cell("book_seconds", brief), times(median(ready)) if ready else "—"]
                        if theirs else ["", ""])])
        if group and group[0]["coefficient_error"] is not None:
            lines.append(["", "… el coeficiente", cell("coefficient_error", power), "", "", ""])
    return lines


def origins():
    """One line per problem: where DeepXDE's settings come from."""
    for problem, name in NAMES.items():
        s = SETTINGS[problem]
        yield [name, f"`{s['demo']}`", "el mismo" if s["same"] else "otro",
               " + ".join(thousands(s[k]) for k in ("domain", "boundary", "initial") if k in s),
               f"{len(s['layers'])}\u00a0×\u00a0{s['layers'][0]}, {s.get('activation', 'tanh')}",
               thousands(s["adam"]) + (", L\u2011BFGS" if s.get("lbfgs") else ""),
               thousands(s["adam"] // SHORTER) + ", L\u2011BFGS"]


def table(name, caption, head, lines):
    """A MyST table."""
    lines = ["| " + " | ".join(line) + " |" for line in (head, ["---"] * len(head), *lines)]
    return "\n".join([f":::{{table}} {caption}", f":name: {name}", "", *lines, ":::", ""])


def verdict(rows):
    """What the comparison says, in sentences, and where and when it was made."""
    theirs = [r for r in rows if "book_seconds" in r]
    single = [r["lbfgs"] for r in theirs if r["precision"] == "float32" and r["lbfgs"]]
    total = len(NAMES) * len(CODES) * len(SEEDS)
    say = [f"Hay {len(rows)} mediciones de {total}" +
           ("." if len(rows) == total else "; las que faltan las completa `make bench`.")]
    wins = sorted((r for r in theirs if advantage(r) > 1), key=advantage)
    lost = [r for r in theirs if advantage(r) <= 1]
    if wins:
        least, most = advantage(wins[0]), advantage(wins[-1])
        say.append(f"Este libro llega antes al error final de DeepXDE en {len(wins)} de {len(theirs)} comparaciones: "
                   f"entre {times(least)} veces ({NAMES[wins[0]['problem']]}) y {times(most)} veces "
                   f"({NAMES[wins[-1]['problem']]}) antes, con una mediana de {times(median(map(advantage, wins)))}.")
    say.append("Pierde en: " + "; ".join(f"{NAMES[r['problem']]}, `{r['precision']}`, semilla {r['seed']}"
                                         for r in lost) + "." if lost else "No pierde en ninguna por ese criterio.")
    error = {p: {r["problem"]: [] for r in theirs} for p in LBFGS}
    for r in theirs:
        error[r["precision"]][r["problem"]].append(r["error"])
    worse = [NAMES[n] for n, e in error["float64"].items() if e and median(e) > median(error["float32"][n] or [1])]
    if worse:
        say.append(f"En `float64`, con su entrenamiento más corto, DeepXDE queda peor que en `float32` en: {', '.join(worse)}.")
    if single:
        say.append(f"En `float32`, L-BFGS hizo entre {min(single)} y {thousands(max(single))} iteraciones "
                   "antes de detenerse.")
    say.append(f"Las semillas son {', '.join(map(str, SEEDS))}, en ese orden en la tabla.")
    say.append("Máquina y fecha: " + "; ".join(sorted({f"{r['machine']}, {r['date']}" for r in rows})) + ".")
    say.append("Versiones: " + ", ".join(sorted({f"{k} {v}" for r in rows for k, v in r["versions"].items()})) + ".")
    return "\n".join(say) + "\n"


def render(rows):
    """The whole generated part of the page."""
    return "\n".join([
        "<!-- Lo escribe `make bench` a partir de bench/results.json: no se edita. -->\n",
        verdict(rows),
        table("tab-med-resultados", "Error y segundos, por semilla",
              ["problema", "código", "error", "segundos", "igualar (s)", "veces"], measurements(rows)),
        table("tab-med-demos", "Origen de cada configuración",
              ["problema", "demo", "su problema", "puntos", "red", "Adam, float32", "Adam, float64"], origins()),
        f"El límite de L-BFGS, que DeepXDE revisa al final de cada tanda de mil, es de {thousands(LBFGS['float32'])} "
        f"iteraciones en `float32`, el suyo, y de {thousands(LBFGS['float64'])} en `float64`.\n"])
