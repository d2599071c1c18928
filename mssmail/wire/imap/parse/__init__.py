"""From a command's words to its value: one file a family of commands, one reader a production, its ABNF above it."""
