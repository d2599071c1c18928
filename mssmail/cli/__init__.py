"""The command line, one file a noun. Asks `flow`; prints; decides nothing."""
