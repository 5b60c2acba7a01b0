"""What tests share: inputs, references, ways of asking."""
