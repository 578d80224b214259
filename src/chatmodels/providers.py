"""Rows of the table of providers: look at them, or add one's own. See docs/providers.md."""

from ._providers import Provider, provider, providers, register

__all__ = ["Provider", "provider", "providers", "register"]
