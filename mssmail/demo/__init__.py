"""A whole system on one machine for a first look: PKI, directory, accounts. Uses the product as an operator does."""
