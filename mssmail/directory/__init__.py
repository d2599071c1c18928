"""The health directory: extracts read, a checked snapshot swapped in, look-ups in it. Knows no account and no mail."""
