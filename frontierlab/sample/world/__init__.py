"""The generator of the synthetic world, with its truth."""

__all__: list[str] = []
