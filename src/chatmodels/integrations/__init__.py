"""Adapters to and from other libraries: LangChain, pydantic-ai, and the shape of the OpenAI SDK.

Each is a module of its own that imports the other library only when it is used.
"""
