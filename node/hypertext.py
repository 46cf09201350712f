"""What pages for people have in common, the node's and the top-level node's: how templates are read, what headers keep
a page safe, and in which language it is shown.

No page lives here, and no word of one.
"""

import re
from collections.abc import Iterator
from typing import Final

import jinja2

LANGUAGES: Final = ("zh", "en")

SAFE: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
"""Headers of every page: no script, nothing from elsewhere, nobody frames it."""


def environment(package: str) -> jinja2.Environment:
    """Reads the templates of `package`: every value is escaped, and a name that nobody gave is an error."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader(package),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )


def weighed(header: str) -> Iterator[tuple[str, float]]:
    """The entries of an Accept or Accept-Language header with their weights (RFC 9110 §12.4.2)."""
    for entry in header.lower().split(","):
        name, _, parameters = entry.partition(";")
        weight = re.search(r"(?:^|;)\s*q\s*=\s*([01](?:\.[0-9]{0,3})?)\s*(?:;|$)", parameters)
        yield name.strip(), float(weight[1]) if weight else 1.0


def language(named: str | None, accepted: str) -> str:
    """The language of a page: the one the address names, else the best liked of LANGUAGES, else Chinese."""
    if named in LANGUAGES:
        return named
    likings = sorted(weighed(accepted), key=lambda entry: -entry[1])
    primaries = (name.partition("-")[0] for name, weight in likings if weight > 0)
    return next((primary for primary in primaries if primary in LANGUAGES), LANGUAGES[0])
