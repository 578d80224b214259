"""What was asked, whatever the format, and what the practice server says to it: the guides' answers, made up and always the same.

Pure. A question that no guide asks is told so; tools are called when the question names them; a schema gets a value that fits it.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

import msgspec

from ..._json import dumps_text
from ..._schema_walk import is_array, is_object, resolve

Body = dict[str, Any]

#: Words of a question -> (the answer, tokens of the question, tokens of the answer).
KNOWN = {
    "artificial intelligence": ("J'aime l'intelligence artificielle.", 29, 14),
    "programming": ("J'aime programmer.", 28, 6),
    "hello": ("Bonjour.", 10, 3),
}
OTHERWISE = "This is the practice server: it knows the questions of the guides, and no others."
THOUGHT = "The user wants French."
_CARRIERS = ("content", "text", "parts", "output", "response", "result", "functionResponse", "toolResult", "json")


class Tool(msgspec.Struct, frozen=True):
    """A function that may be called, and the JSON Schema of its arguments."""

    name: str
    parameters: Any = None


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A request. `question` is the text of its last turn; `answers` says that this turn holds a tool's result. `subject` is what
    the user asked last."""

    question: str
    subject: str = ""
    answers: bool = False
    tools: tuple[Tool, ...] = ()
    must_call: bool = False
    schema: Any = None
    thinks: bool = False


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """An answer. `calls` are tools with their arguments; `given` and `made` are its tokens, `thought_tokens` beside them."""

    text: str = ""
    calls: tuple[tuple[str, Any], ...] = ()
    thought: str = ""
    given: int
    made: int

    @property
    def pieces(self) -> list[str]:
        """The text as it is streamed, word by word."""
        words = self.text.split(" ")
        return [word + " " for word in words[:-1]] + words[-1:]


def said(asked: Asked) -> Said:
    """What the practice server says."""
    thought = THOUGHT if asked.thinks else ""
    if asked.answers and asked.schema is not None:
        return Said(text=dumps_text(sample(asked.schema, asked.subject)), thought=thought, given=60, made=9)
    if asked.answers:
        text = "It is 22 degrees in Paris." if "22 degrees" in asked.question else f"The tool says: {asked.question}"
        return Said(text=text, thought=thought, given=60, made=9)
    text, given, made = next((told for words, told in KNOWN.items() if words in asked.question.lower()), ("", 0, 0))
    if not text:
        text, given, made = OTHERWISE, _tokens(asked.question), _tokens(OTHERWISE)
    if calls := _calls(asked):
        return Said(calls=calls, thought=thought, given=given, made=12)
    if asked.schema is not None:
        text = dumps_text(sample(asked.schema, asked.question))
        made = _tokens(text)
    return Said(text=text, thought=thought, given=given, made=made)


def _tokens(text: str) -> int:
    """A token is about four characters."""
    return 1 + len(text) // 4


def _calls(asked: Asked) -> tuple[tuple[str, Any], ...]:
    """The tools that the question names; where one must be called, the first at least."""
    words = set(re.findall(r"[a-z]+", asked.question.lower()))
    named = [t for t in asked.tools if words & set(re.findall(r"[a-z]+", t.name.lower())) - {"get", "the", "a"}]
    if asked.must_call and not named:
        named = list(asked.tools[:1])
    return tuple((tool.name, sample({"type": "object", **(tool.parameters or {})}, asked.question)) for tool in named)


# -- reading


def asked_of(turns: list[Any], **more: Any) -> Asked:
    """The last turn's words. A run of tool results at the end is one turn."""
    last = turns[-1:]
    while len(last) < len(turns) and _is_result(last[0]) and _is_result(turns[-len(last) - 1]):
        last = turns[-len(last) - 1 :]
    users = [t for t in turns if is_object(t) and t.get("role") == "user" and not _is_result(t)]
    answers = bool(last) and _is_result(last[-1])
    return Asked(question=" ".join(texts(last)), subject=" ".join(texts(users[-1:])), answers=answers, **more)


def _is_result(turn: Any) -> bool:
    if not is_object(turn):
        return False
    if turn.get("role") == "tool" or turn.get("type") == "function_call_output":
        return True
    blocks = turn.get("content") or turn.get("parts")
    return is_array(blocks) and any(
        is_object(b) and (b.get("type") == "tool_result" or "toolResult" in b or "functionResponse" in b)
        for b in blocks
    )


def texts(value: Any) -> list[str]:
    """All text in a turn; pictures, files and names are no text."""
    if isinstance(value, str):
        return [value]
    if is_array(value):
        return [text for item in value for text in texts(item)]
    if is_object(value):
        return [text for key in _CARRIERS if key in value for text in texts(value[key])]
    return []


def functions(tools: Any, inside: str = "function", schema: str = "parameters") -> tuple[Tool, ...]:
    """The functions among `tools`: each under the key `inside` (or plain, where that is empty)."""
    found = [tool.get(inside) if inside else tool for tool in tools or () if is_object(tool)]
    return tuple(Tool(f["name"], f.get(schema)) for f in found if is_object(f) and isinstance(f.get("name"), str))


def told_schema(turns: Any) -> Any:
    """The JSON Schema that is told in words, as hosts need it that know only "answer in JSON"; else that of any object."""
    for text in reversed(texts(turns)):
        start, end = text.find("{"), text.rfind("}")
        with suppress(msgspec.DecodeError):
            found = msgspec.json.decode(text[start : end + 1].encode())
            if is_object(found) and "properties" in found:
                return found
    return {"type": "object"}


# -- values that fit a schema


def sample(schema: Any, hint: str) -> Any:
    """A value for the schema; a text is the last name (a word with a capital) in `hint`."""
    names = re.findall(r"(?<=\s)[A-Z][a-z]+", hint)
    return _value(schema, schema, names[-1] if names else "text", 0)


def _value(schema: Any, root: Any, word: str, depth: int) -> Any:
    if not is_object(schema) or depth > 8:
        return word
    if "$ref" in schema:
        return _value(resolve(root, schema["$ref"]), root, word, depth + 1)
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    for several in ("anyOf", "oneOf", "allOf"):
        if schema.get(several):
            ways: list[Any] = [s for s in schema[several] if not (is_object(s) and s.get("type") == "null")]
            return _value(ways[0] if ways else None, root, word, depth + 1)
    kind = schema.get("type")
    kind = next((k for k in kind if k != "null"), "null") if is_array(kind) else kind
    return _typed(str(kind or ("object" if "properties" in schema else "string")).lower(), schema, root, word, depth)


def _typed(kind: str, schema: Body, root: Any, word: str, depth: int) -> Any:
    if kind == "object":
        properties: Body = schema.get("properties") or {}
        needed: list[str] = schema.get("required") or list(properties)
        return {n: _value(s, root, word, depth + 1) for n, s in properties.items() if n in needed}
    if kind == "array":
        count = max(1, schema.get("minItems") or 1)
        return [_value(schema.get("items"), root, word, depth + 1) for _ in range(count)]
    if kind in ("integer", "number"):
        least = schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1)
        return min(least, schema.get("maximum", least))
    if kind in ("boolean", "null"):
        return True if kind == "boolean" else None
    return word.ljust(schema.get("minLength") or 0, ".")[: schema.get("maxLength")]
