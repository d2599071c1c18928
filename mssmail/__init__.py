"""mssmail: a secure mail server for health professionals. This page is the map; read it first.

**Servers speak, flow does, rooms know, base names.** Servers turn bytes into requests and results into bytes. `flow`
holds the use-cases, one file a verb. Each room below holds one kind of knowledge. `base` holds the nouns.

    app          composition root: the only file that chooses an engine, a key provider, a clock
    supervise    worker processes, signals, graceful stop, singletons by lease
    base/        the nouns: address, ids, principal, reason and refusal, secret, clock, what a courier carries
    settings/    model (one sentence per setting), load (TOML and environment), describe (config/reference.toml)
    metrics/     the registry and the log; each counter stands atop the file that counts
    mime/        headers, structure, envelope, reports                                         pure
    wire/        imap/ (grammar, frame, commands, responses, encode)   sasl/                    pure
    crypto/      sealed format, envelope, keys, the key store, key providers (kms/)
    store/       schema, engine, lanes of group commit, bodies; sealed bytes only
    fetch        HTTP calls out, bounded in size and time
    files        files put in place whole and durable
    directory/   the health directory: extracts, snapshots, look-ups
    identity/    certificates, passwords, one-time codes, tokens, grants, lockout; one door: authenticate
    policy/      facts in, verdict out: receive, send, access, retention                        pure
    audit/       the chained trail: events, verification, export
    flow/        login, gate, submit, deliver, boxes, messages, changes, purge, ...
    servers/     net/ (streams, listeners, TLS)   smtp/ (courier/: mail out)   imap/   web/ (pages, oauth/)   metrics
    cli/ demo/   one file a noun; a whole system on one machine for a first look

Imports go down only, and siblings on a line are strangers (`.importlinter` is the law, `make check` the judge):

    cli · demo > app · supervise > servers > flow > policy | directory | identity | audit
        > store | crypto | fetch | files > wire.imap | wire.sasl > mime > settings > metrics > base

One message, straight through:

    bytes become a command   servers/smtp/session
    who                      servers/smtp/session -> flow/login -> Principal; inbound -> flow/operators -> Peer
    may they                 flow/gate -> policy/send, policy/receive -> Verdict; a no -> servers/smtp/replies
    the body ends            flow/submit; another operator's, flow/receive; what both have in common, flow/arrival
    whom it is about         flow/archives, before it is accepted; where it goes on to, flow/onward
    seal and keep            flow/deliver: parse once, seal, then one transaction {message, uid, modseq, audit}
    acknowledge              250, only after the commit
    and beyond               flow/queue, in the same transaction; flow/relay -> servers/smtp/courier; flow/bounce tells
    tell                     flow/changes wakes (account, modseq) across workers; a lost wake-up costs a delay, not mail
    show                     servers/imap/selected -> flow/messages (opens at the last moment) -> wire/imap/encode
    end                      policy/retention -> flow/purge: rows, then the period's key, then the bodies

Invariants that hold everywhere: 250 only after the commit; nothing but sealed bytes on disk; a decision is a value
with a closed reason, and only edges know reply codes; time is handed in; no content, address or secret in a log.
"""
