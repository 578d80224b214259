"""How the API reference reads our code: structs and dicts of options get a signature, examples become code blocks.

Used by mkdocstrings (see mkdocs.yml). griffe knows dataclasses, but no structs, and would take `>>>` for a quotation.
"""

from __future__ import annotations

import re

import griffe

PACKAGE = "chatmodels"
EXAMPLE = re.compile(r"^( *)>>> .*(?:\n(?! *$).*)*", re.MULTILINE)


class House(griffe.Extension):
    """Adds `__init__` to every struct of the package that has none of its own, and fences to examples."""

    def on_package(self, *, pkg: griffe.Module, **_: object) -> None:
        if pkg.path == PACKAGE:
            self._walk(pkg, pkg)
            self._without_base(pkg)

    def _without_base(self, at: griffe.Module | griffe.Class) -> None:
        """That a class is a struct says nothing to its readers."""
        for member in at.members.values():
            if isinstance(member, griffe.Class):
                member.bases = [base for base in member.bases if _path(base) != "msgspec.Struct"]
            if isinstance(member, (griffe.Module, griffe.Class)):
                self._without_base(member)

    def _walk(self, at: griffe.Module | griffe.Class, pkg: griffe.Module) -> None:
        for member in at.members.values():
            if isinstance(member, griffe.Alias):
                continue
            if member.docstring is not None:
                member.docstring.value = fenced(member.docstring.value)
            if isinstance(member, griffe.Module):
                self._walk(member, pkg)
            elif isinstance(member, griffe.Class):
                self._walk(member, pkg)
                fields = _keys(member) or self._fields(member, pkg)
                if fields is not None and "__init__" not in member.members:
                    self._add(member, fields)

    def _fields(self, found: griffe.Object, pkg: griffe.Module) -> list[griffe.Parameter] | None:
        """The fields as parameters, or None if it is no struct."""
        fields: list[griffe.Parameter] | None = None
        if not isinstance(found, griffe.Class):
            return None
        for base in found.bases:
            path = _path(base)
            if path == "msgspec.Struct":
                fields = []
            elif path.startswith(PACKAGE):
                above = pkg.modules_collection[path]
                inherited = self._fields(above.final_target if isinstance(above, griffe.Alias) else above, pkg)
                fields = fields if inherited is None else inherited
        if fields is None:
            return None
        named = found.keywords.get("kw_only") is not None and str(found.keywords["kw_only"]) == "True"
        kind = griffe.ParameterKind.keyword_only if named else griffe.ParameterKind.positional_or_keyword
        own = [
            griffe.Parameter(name, annotation=member.annotation, kind=kind, default=member.value)
            for name, member in found.members.items()
            if isinstance(member, griffe.Attribute) and not name.startswith("_") and _is_field(member)
        ]
        names = {field.name for field in own}
        fields = [field for field in fields if field.name not in names] + own
        return sorted(fields, key=lambda field: field.kind == griffe.ParameterKind.keyword_only)

    def _add(self, found: griffe.Class, fields: list[griffe.Parameter]) -> None:
        itself = griffe.Parameter("self", kind=griffe.ParameterKind.positional_or_keyword)
        made = griffe.Function("__init__", parameters=griffe.Parameters(itself, *fields), parent=found)
        made.lineno = made.endlineno = found.lineno
        found.members["__init__"] = made


def _path(base: str | griffe.Expr) -> str:
    return base if isinstance(base, str) else base.canonical_path


def _keys(found: griffe.Class) -> list[griffe.Parameter]:
    """A TypedDict's own keys, as keyword arguments: that is what ours are for. Empty for other classes."""
    if not found.name.endswith("Options"):
        return []
    members = [m for m in found.members.values() if isinstance(m, griffe.Attribute)]
    return [griffe.Parameter(m.name, annotation=m.annotation, kind=griffe.ParameterKind.keyword_only) for m in members]


def fenced(text: str) -> str:
    """The docstring with its examples in fences."""
    return EXAMPLE.sub(lambda m: f"{m[1]}```pycon\n{re.sub(r' *# doctest: .*', '', m[0])}\n{m[1]}```", text)


def _is_field(member: griffe.Attribute) -> bool:
    if member.annotation is None or "property" in member.labels:
        return False
    return not str(member.annotation).startswith(("ClassVar", "typing.ClassVar"))
