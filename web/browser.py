"""Find Chromium for the page tests, installing it only where that needs no rights the user lacks."""

import os
import shutil
import subprocess
import sys

from playwright.sync_api import sync_playwright

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
HELP = """No hay un navegador para probar las páginas y no se pudo instalar.
En Debian o Ubuntu: apt install chromium
En otros sistemas:  .venv/bin/playwright install chromium"""


def find():
    """Path of an installed Chromium (the system's or Playwright's own), or None."""
    for name in ("chromium", "chromium-browser", "google-chrome", "chrome"):
        if path := shutil.which(name):
            return path
    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if os.path.exists(path) else None


def install():
    """Install Chromium as the administrator, if we are, or else in the user's own folder."""
    if os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "update", "-qq"], check=False)
        command = ["apt-get", "install", "-y", "-qq", "chromium"]
        if subprocess.run(command, stdout=subprocess.DEVNULL).returncode == 0:
            return
    subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=False)


if __name__ == "__main__":
    if not find():
        print("Instalando Chromium para probar las páginas…", flush=True)
        install()
    if not find():
        sys.exit(HELP)
