"""pydantic-ai's native tools, which a provider runs by itself, as definitions in the provider's own spelling.

Which there are depends on the wire format: one table for each. Where a format has no such tool, or cannot keep one of its
limits, pydantic-ai is told so, and uses its local fallback or raises.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any

from chatmodels._json import mapping
from chatmodels.dialects._base import Dialect

_tools: Any = import_module("pydantic_ai.native_tools")

Definition = dict[str, Any]
#: (the tool, the provider's name) -> its definition.
Writer = Callable[[Any, str], Definition]


def _filled(definition: Definition) -> Definition:
    return {k: v for k, v in definition.items() if v is not None}


def _place(tool: Any) -> Definition | None:
    return {"type": "approximate", **tool.user_location} if tool.user_location else None


def _settings(tool: Any, provider: str) -> Definition:
    """What a user of pydantic-ai said for this provider alone; the older releases have no such field."""
    return mapping(mapping(getattr(tool, "provider_settings", None)).get(provider))


# ---- Anthropic's Messages. Source: its pages on the web search, web fetch and code execution tools, 2026-11.


def _anthropic_search(tool: Any, provider: str) -> Definition:
    return {
        "type": "web_search_20250305",
        "name": "web_search",
        **_web_limits(tool),
        **_filled({"user_location": _place(tool)}),
    }


def _web_limits(tool: Any) -> Definition:
    return _filled({k: getattr(tool, k) for k in ("max_uses", "allowed_domains", "blocked_domains")})


def _anthropic_fetch(tool: Any, provider: str) -> Definition:
    said = _settings(tool, "anthropic")
    cited = said.get("enable_citations", tool.enable_citations)
    more = {
        "citations": {"enabled": True} if cited else None,
        "max_content_tokens": said.get("max_content_tokens", tool.max_content_tokens),
    }
    return {"type": "web_fetch_20250910", "name": "web_fetch", **_web_limits(tool), **_filled(more)}


def _anthropic_code(tool: Any, provider: str) -> Definition:
    return {"type": "code_execution_20250825", "name": "code_execution"}


# ---- OpenAI's Responses. Source: the API reference, the field `tools` of a request, 2026-11.


def _responses_search(tool: Any, provider: str) -> Definition:
    filters = _filled({k: getattr(tool, k) for k in ("allowed_domains", "blocked_domains")})
    return _filled(
        {
            "type": "web_search",
            "search_context_size": tool.search_context_size,
            "user_location": _place(tool),
            "filters": filters or None,
            "external_web_access": getattr(tool, "external_web_access", None),
        }
    )


def _responses_code(tool: Any, provider: str) -> Definition:
    own = [f.file_id for f in getattr(tool, "files", None) or () if f.provider_name == provider]
    return {"type": "code_interpreter", "container": {"type": "auto", **({"file_ids": own} if own else {})}}


def _responses_files(tool: Any, provider: str) -> Definition:
    most = getattr(tool, "max_num_results", None)
    return _filled({"type": "file_search", "vector_store_ids": list(tool.file_store_ids), "max_num_results": most})


_IMAGE_FIELDS = (
    "action", "background", "input_fidelity", "moderation", "model", "output_compression", "output_format",
    "partial_images", "quality", "size",
)  # fmt: skip
_IMAGE_DEFAULTS = ("auto", 0, None)


def _responses_image(tool: Any, provider: str) -> Definition:
    fields = {k: getattr(tool, k, None) for k in _IMAGE_FIELDS} | _settings(tool, "openai")
    return {"type": "image_generation", **{k: v for k, v in fields.items() if v not in _IMAGE_DEFAULTS}}


def _responses_mcp(tool: Any, provider: str) -> Definition:
    connector = tool.url.removeprefix("x-openai-connector:")
    where = {"server_url": tool.url} if connector == tool.url else {"connector_id": connector}
    more = {
        "authorization": tool.authorization_token,
        "server_description": tool.description,
        "allowed_tools": tool.allowed_tools,
        "headers": tool.headers,
    }
    return {"type": "mcp", "server_label": tool.id, "require_approval": "never", **where, **_filled(more)}


# ---- Google's generateContent. Source: its reference of `Tool`, 2026-11.


def _google_files(tool: Any, provider: str) -> Definition:
    return {"file_search": {"file_search_store_names": list(tool.file_store_ids)}}


# ---- by wire format

_BY_FORMAT: dict[str, dict[str, Writer]] = {
    "Anthropic": {
        "WebSearchTool": _anthropic_search,
        "WebFetchTool": _anthropic_fetch,
        "CodeExecutionTool": _anthropic_code,
    },
    "OpenAIResponses": {
        "WebSearchTool": _responses_search,
        "CodeExecutionTool": _responses_code,
        "FileSearchTool": _responses_files,
        "ImageGenerationTool": _responses_image,
        "MCPServerTool": _responses_mcp,
    },
    "Google": {
        "WebSearchTool": lambda tool, provider: {"google_search": {}},
        "WebFetchTool": lambda tool, provider: {"url_context": {}},
        "CodeExecutionTool": lambda tool, provider: {"code_execution": {}},
        "FileSearchTool": _google_files,
    },
}
#: Limits that a format cannot keep. A tool that is sent without one of its limits would do what its user forbade.
_LIMITS_NOT_KEPT = {
    "Anthropic": {"external_web_access"},
    "OpenAIResponses": {"max_uses"},
    "Google": {"max_uses", "allowed_domains", "blocked_domains", "external_web_access"},
}


def _format(dialect: Dialect) -> str:
    return next((c.__name__ for c in type(dialect).__mro__ if c.__name__ in _BY_FORMAT), "")


def all_types() -> frozenset[type[Any]]:
    """The classes of native tools that some format has."""
    names = {name for writers in _BY_FORMAT.values() for name in writers}
    return frozenset(getattr(_tools, name) for name in names if hasattr(_tools, name))


def types_of(dialect: Dialect) -> frozenset[type[Any]]:
    """The classes of native tools that this format has."""
    names = _BY_FORMAT.get(_format(dialect), {})
    return frozenset(cls for cls in all_types() if cls.__name__ in names)


def limits_not_kept(dialect: Dialect, tool: Any) -> frozenset[str]:
    """Which of a tool's limits could not be sent."""
    return frozenset(getattr(tool, "restricting_settings", ())) & _LIMITS_NOT_KEPT.get(_format(dialect), set())


def definitions(dialect: Dialect, tools: Iterable[Any]) -> list[Definition]:
    """The tools in the format's spelling; pydantic-ai gives only those of `types_of`."""
    writers = _BY_FORMAT.get(_format(dialect), {})
    made: list[Definition] = []
    for tool in tools:
        write = next(writers[c.__name__] for c in type(tool).__mro__ if c.__name__ in writers)
        made.append(write(tool, dialect.provider))
    return made
