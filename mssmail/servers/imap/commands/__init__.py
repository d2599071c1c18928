"""One file a command, under the same name as in `wire.imap` and in the tests."""
