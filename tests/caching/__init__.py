"""Tests of caching."""
