"""The courier: our SMTP client, which carries mail to other operators over TLS alone.

    carrier      `SmtpCourier`, flow's Courier: hosts in order, several transactions, what is reported in the end
    pool         connections kept for the next errand, some for each domain
    destination  which hosts take a domain's mail: a fixed route, or the DNS (lookup); host: one of them
    session      greeting, EHLO, STARTTLS, EHLO; who answers
    transaction  one message to some recipients: MAIL, RCPT, BDAT or DATA
    command, offer, reply, octets   what is said, offered, answered and sent; pure
    wire         octets in and out, with limits on time and memory

Invariants: nothing but EHLO and STARTTLS ever goes in clear; no mail to a peer that isn't vouched for at that moment;
no CR or LF leaves but as CRLF; a peer costs bounded time and memory whatever it says.
"""
