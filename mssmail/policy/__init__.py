"""Facts in, verdict out: who may receive, send, open, and how long mail is kept. Pure; asks nobody."""
