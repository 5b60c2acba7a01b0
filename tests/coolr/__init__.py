"""Tests of coolr."""
