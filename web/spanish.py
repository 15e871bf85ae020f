"""Spanish where the libraries speak English: interface, search and bibliography."""

import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import sphinx.search
from pybtex.plugin import register_plugin as register_pybtex
from pybtex.style.formatting.unsrt import Style as UnsrtStyle
from pybtex.style.formatting.unsrt import date, pages
from pybtex.style.names.lastfirst import NameStyle
from pybtex.style.template import field as bib_field
from pybtex.style.template import join, names, optional, sentence, tag, words
from sphinx.locale import get_translator
from sphinx.search.es import SearchSpanish
from sphinxcontrib.bibtex.plugin import register_plugin as register_bibtex
from sphinxcontrib.bibtex.style.referencing import PersonStyle
from sphinxcontrib.bibtex.style.referencing.author_year import AuthorYearReferenceStyle

STRINGS = {
    "Link to this heading": "Enlace a esta sección",
    "Link to this image": "Enlace a esta figura",
    "Link to this table": "Enlace a esta tabla",
    "Link to this code": "Enlace a este código",
    "Link to this term": "Enlace a este término",
    "Link to this equation": "Enlace a esta ecuación",
    "Link to this definition": "Enlace a esta definición",
}
WRITTEN_IN_TEMPLATES = {  # what the theme's templates say in English without asking a catalog
    'title="Toggle primary sidebar"': 'title="Mostrar u ocultar el índice del libro"',
    'title="Toggle secondary sidebar"': 'title="Mostrar u ocultar el contenido de la página"',
    'aria-label="Main"': 'aria-label="Índice del libro"',
    'aria-label="Page"': 'aria-label="Contenido de la página"',
}


def translate_interface(app):
    """Sphinx handler: complete Sphinx's catalog before any page is made."""
    get_translator("sphinx")._catalog.update(STRINGS)


def translate_templates(app, exception):
    """Sphinx handler: translate what the templates have written in English."""
    if exception or app.builder.format != "html":
        return
    for page in Path(app.outdir).rglob("*.html"):
        text = page.read_text("utf8")
        translated = text
        for english, spanish in WRITTEN_IN_TEMPLATES.items():
            translated = translated.replace(english, spanish)
        if translated != text:
            page.write_text(translated, "utf8")


# Search: the index and the query are folded alike, so that 'funcion' finds 'función'. The ñ is a
# letter of its own and stays. The accent of -ción, -sión goes back, because the stemmer needs it.


def fold(word):
    """Lower case, no accents but those the stemmer needs: 'Derivación' -> 'derivación'."""
    folded = word.lower().translate(str.maketrans("áéíóúü", "aeiouu"))
    return re.sub(r"([cs])ion$", r"\1ión", folded)


class Search(SearchSpanish):
    """Sphinx's Spanish search, insensitive to accents."""

    js_stemmer_rawcode = ""  # the script is given whole, below
    folder = Path(sphinx.search.__file__).parent / "minified-js"
    js_stemmer_code = "\n".join([
        (folder / "base-stemmer.js").read_text("utf8"),
        (folder / "spanish-stemmer.js").read_text("utf8"),
        """
        var Stemmer = function () {
          const spanish = new SpanishStemmer();
          const plain = {"á": "a", "é": "e", "í": "i", "ó": "o", "ú": "u", "ü": "u"};
          const fold = (word) => word.toLowerCase().replace(/[áéíóúü]/g, (c) => plain[c]);
          this.stemWord = (word) =>
            spanish.stemWord(fold(word).replace(/([cs])ion$/, "$1ión"));
        };
        """,
    ])

    @cache  # the words of a chapter are those of the others
    def stem(self, word):
        return super().stem(fold(word))


class BibliographyStyle(UnsrtStyle):
    """The plain style, in Spanish: by surname, which is how the chapters cite."""

    default_name_style = NameStyle
    default_sorting_style = "author_year_title"

    def format_names(self, role, as_sentence=True):
        formatted = names(role, sep="; ", sep2=" y ", last_sep=" y ")
        return sentence[formatted] if as_sentence else formatted

    def format_edition(self, e):
        return optional[join[bib_field("edition"), ".ª edición"]]

    def get_incollection_template(self, e):
        return self.get_inproceedings_template(e)

    def get_inproceedings_template(self, e):
        where = words["En", tag("em")[bib_field("booktitle")]]
        volume = optional[words["volumen", bib_field("volume")]]
        return join(sep=" ")[
            sentence[self.format_names("author", as_sentence=False)],
            self.format_title(e, "title"),
            sentence[where, volume, optional[words["páginas", pages]], date],
            self.format_web_refs(e),
        ]


def spanish_person():
    return PersonStyle(sep2=" y ", last_sep=" y ")


@dataclass
class ReferenceStyle(AuthorYearReferenceStyle):
    """Author and year, joined by 'y'."""

    person: PersonStyle = field(default_factory=spanish_person)


def setup(app):
    app.connect("builder-inited", translate_interface)
    app.connect("build-finished", translate_templates)
    sphinx.search.languages["es"] = Search
    register_pybtex("pybtex.style.formatting", "spanish", BibliographyStyle)
    register_bibtex("sphinxcontrib.bibtex.style.referencing", "spanish", ReferenceStyle)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
