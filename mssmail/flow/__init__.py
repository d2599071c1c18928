"""The use-cases, one file a verb: what a server asks for is done, and traced, here. Knows no protocol."""
