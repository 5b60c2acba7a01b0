"""Helpers for all rooms that know nothing about queries: times, files, calls, progress, literals."""

__all__: list[str] = []
