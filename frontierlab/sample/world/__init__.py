"""The generator of the synthetic world, and its truth."""

__all__: list[str] = []
