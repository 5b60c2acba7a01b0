"""Real services, and one faulty one, for tests, demonstrations and benchmarks."""
