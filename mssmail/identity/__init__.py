"""Who somebody is: certificates, passwords, one-time codes, grants, lockout. Knows no protocol and no mail."""
