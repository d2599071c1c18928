"""SMTP submission on aiosmtpd; replies from one total table of reasons."""
