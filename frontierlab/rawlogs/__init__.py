"""Raw logs: what servlets and Squids write, and the queries in them, without Elasticsearch between."""
