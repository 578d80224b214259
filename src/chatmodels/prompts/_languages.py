"""From a template's text and the name of its language to the template. Knows which languages there are, not how they work."""

from __future__ import annotations

from typing import Any

from chatmodels._errors import UsageError

from ._template import PlainText, Template, parse
from ._tstrings import is_tstring, tstring_text

#: The names of 2023, and "text": no language at all.
LANGUAGES = ("f-string", "mustache", "jinja2", "text")


def template_of(text: Any, language: str = "f-string") -> Template:
    """The parsed template. A template string of Python 3.14 (`t"..."`) is text already: nothing in it is parsed."""
    if not isinstance(text, str):
        if is_tstring(text):
            return PlainText(tstring_text(text))
        raise UsageError(f"a template is a str, not {type(text).__name__}", argument="template")
    if language == "f-string":
        return parse(text)
    if language == "text":
        return PlainText(text)
    if language == "mustache":
        from ._mustache import parse_mustache

        return parse_mustache(text)
    if language in ("jinja2", "jinja"):
        from ._jinja import parse_jinja

        return parse_jinja(text)
    raise UsageError(f"template_format is one of {', '.join(LANGUAGES)}; got {language!r}", argument="template_format")
