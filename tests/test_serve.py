"""``make serve``: a saved change reaches the page that a browser has open, and not the site's files."""

import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request

from test_faults import CHAPTER, book  # noqa: F401: a fixture

PAGE = "book/01-muestra.html"


def get(address):
    with urllib.request.urlopen(address, timeout=300) as answer:
        return answer.read().decode()


def test_a_saved_change_reloads_the_page(book):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    with subprocess.Popen(
        [sys.executable, "web/serve.py", str(port)], cwd=book, stdout=subprocess.PIPE, encoding="utf8"
    ) as server:
        try:
            for line in server.stdout:
                if "Ctrl+C" in line:
                    break
            site = f"http://localhost:{port}"
            page = get(f"{site}/{PAGE}")
            assert "Primero la pregunta" in page
            reload = re.search(r'fetch\("(/built\?\d+)"', page)[1]
            time.sleep(0.01)
            text = (book / CHAPTER).read_text("utf8")
            (book / CHAPTER).write_text(text.replace("Primero la", "Empecemos por la"), "utf8")
            get(site + reload)  # answers when the change is built
            assert "Empecemos por la pregunta" in get(f"{site}/{PAGE}")
            assert "built?" not in (book / "_build/html" / PAGE).read_text("utf8")
        finally:
            server.send_signal(signal.SIGINT)
