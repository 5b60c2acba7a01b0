"""Helpers for all rooms that know nothing about queries: times, files, progress, literals."""

__all__: list[str] = []
