"""Real services, and one faulty one, that tests, demonstrations and benchmarks start for themselves."""
