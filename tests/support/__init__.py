"""What tests share: inputs, reference results, and helper functions."""
