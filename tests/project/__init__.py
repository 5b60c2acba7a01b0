"""Tests of the project as a whole: its documents, deployment, services and test run."""
