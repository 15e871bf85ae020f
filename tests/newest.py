"""What moved with the newest versions, as the text of an issue; nothing if nothing did.

    python tests/newest.py build.log nbval.log > issue.md
"""

import re
import sys
from pathlib import Path

CELL = re.compile(r"^_+ (?:\S*/)?([\w-]+)\.ipynb::Cell (\d+) _+\n(.*?)(?=^_+ \S+\.ipynb::Cell \d+ _+$|^=+ )", re.M | re.S)
BUILD = re.compile(r"^(?:\S*/)?(book/[\w-]+\.md:\d+): (?:ERROR|WARNING): (.*)", re.M)


def moved(log):
    """Chapter -> what moved in it, from the logs of the build and of nbval."""
    log, found = re.sub(r"\x1b\[[0-9;]*m", "", log), {}
    for place, message in BUILD.findall(log):
        found.setdefault(Path(place).name.split(".md")[0], []).append(f"al construir, `{place}`: {message}")
    failed = set()
    for chapter, cell, text in CELL.findall(log):
        if "Cell outputs differ" in text:
            lines = re.findall(r"^  ([-+] .*)", text, re.M)  # nbval: + de antes, - de ahora
            old, new = (" / ".join(t[2:] for t in lines if t[0] == sign) for sign in "+-")
            message = f"antes `{old}`, ahora `{new}`"
        elif chapter in failed:  # lo que sigue a una celda que falló
            continue
        else:
            failed.add(chapter)
            message = re.findall(r"^(\w[\w.]*(?:: .*)?)$", text.strip(), re.M)[-1]
        found.setdefault(chapter, []).append(f"celda {cell}: {message}")
    return found


def issue(log):
    """The issue's text: each chapter with the numbers that moved."""
    lines = []
    for chapter, messages in sorted(moved(log).items()):
        lines += [f"### {chapter}", "", *(f"- {message[:500]}" for message in messages), ""]
    if lines:
        lines = ["Con las versiones más nuevas de las dependencias cambió lo que sigue.", "", *lines]
    return "\n".join(lines)


if __name__ == "__main__":
    print(issue("\n".join(Path(name).read_text("utf8") for name in sys.argv[1:])), end="")
