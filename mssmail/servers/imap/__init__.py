"""IMAP sessions: state, views of a folder, and replies from one total table of reasons."""
