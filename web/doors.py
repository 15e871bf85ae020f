"""The ways out of a page: Colab, Binder, JupyterHub, download, edit, report; and its public address.

The repository's address is that of the workflow that builds the site (GITHUB_REPOSITORY, which
GitHub sets), so that a fork publishes its own working site with no edit. Built anywhere else, a
page has no public address: it offers its notebook and no button that would not work.
"""

import html
import os
from pathlib import Path
from urllib.parse import quote

BRANCH = "notebooks"  # where the publishing workflow pushes the notebooks


def doors(repository, hub, docname):
    """Text and address of each way out of a chapter of ``repository`` (owner/name, or "")."""
    notebook = f"{Path(docname).name}.ipynb"
    links = {"Descargar el cuaderno": f"../notebooks/{notebook}"}
    if not repository:
        return links
    github = f"https://github.com/{repository}"
    open_in = {
        "Abrir en Colab": f"https://colab.research.google.com/github/{repository}/blob/{BRANCH}/{notebook}",
        "Abrir en Binder": f"https://mybinder.org/v2/gh/{repository}/{BRANCH}?labpath={notebook}",
    }
    if hub:
        target = quote(f"lab/tree/{repository.split('/')[1]}/{notebook}", safe="")
        open_in["Abrir en JupyterHub"] = (
            f"{hub.rstrip('/')}/hub/user-redirect/git-pull"
            f"?repo={quote(github, safe='')}&branch={BRANCH}&urlpath={target}"
        )
    title = quote(f"Error en {docname}")
    return open_in | links | {
        "Editar": f"{github}/edit/main/{docname}.md",
        "Informar un error": f"{github}/issues/new?title={title}",
    }


def site_address(repository):
    """Where GitHub Pages serves a repository's site; "" without a repository."""
    if not repository:
        return ""
    owner, name = repository.lower().split("/")[0], repository.split("/")[1]
    return f"https://{owner}.github.io/" + ("" if name.lower() == f"{owner}.github.io" else f"{name}/")


def set_address(app, config):
    """Sphinx handler: the canonical address of the pages."""
    config.html_baseurl = site_address(os.environ.get("GITHUB_REPOSITORY", ""))


def add_doors(app, docname, template, context, doctree):
    """Sphinx handler: the ways out of a chapter, under its title."""
    if not (Path(app.outdir) / "notebooks" / f"{Path(docname).name}.ipynb").exists():
        return
    repository = os.environ.get("GITHUB_REPOSITORY", "")
    links = "".join(
        f'<a href="{html.escape(address)}"{" download" if address.startswith("..") else ""}>{text}</a>'
        for text, address in doors(repository, app.config.jupyterhub_url, docname).items()
    )
    nav = f'<nav class="puertas" aria-label="Abrir este capítulo">{links}</nav>'
    context["body"] = context["body"].replace("</h1>", f"</h1>{nav}", 1)


def setup(app):
    app.add_config_value("jupyterhub_url", "", "html")
    app.connect("config-inited", set_address)
    app.connect("html-page-context", add_doors, priority=600)  # once the notebook is written
    return {"parallel_read_safe": True, "parallel_write_safe": True}
