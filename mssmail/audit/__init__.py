"""The trail: what happened, chained and sealed, verifiable without trusting the database. Never content."""
