"""The tables of the mail's database. FINAL: later versions add tables and columns, they don't change these.

In clear: ids, UIDs, system flags, keyword numbers, sizes, dates, mod-sequences. Everything else is sealed by `crypto`
before it comes here, or stands as a keyed digest. Times are whole seconds of the Unix epoch unless named `_ms`.
"""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, SmallInteger, String, Table

SCHEMA_VERSION = 1

metadata = MetaData()


def _table(name: str, *items: Column[int] | Column[bytes] | Column[str] | Index) -> Table:
    return Table(name, metadata, *items)


def _rowless(name: str, *items: Column[int] | Column[bytes] | Column[str] | Index) -> Table:
    """A table that is its own primary index; for narrow rows only."""
    return Table(name, metadata, *items, sqlite_with_rowid=False)


def _id(name: str) -> Column[int]:
    return Column(name, BigInteger, primary_key=True, autoincrement=False)


def _int(name: str, default: int | None = None) -> Column[int]:
    return Column(name, BigInteger, nullable=False, server_default=None if default is None else str(default))


def _maybe(name: str) -> Column[int]:
    return Column(name, BigInteger)


def _blob(name: str) -> Column[bytes]:
    return Column(name, LargeBinary, nullable=False)


counters = _rowless(
    "counters",
    # Highest numbers given out: account, folder, chain. Rows, so that no number is ever given twice.
    Column("name", String(32), primary_key=True),
    _int("value"),
)

accounts = _table(
    "accounts",
    _id("account_id"),
    Column("kind", String(3), nullable=False),  # PER, ORG, APP
    Column("state", String(12), nullable=False),  # open, suspended, closed
    _blob("address_digest"),
    _blob("holder_digest"),
    _blob("subject_digest"),  # APP and ORG: of the certificate's (OU, CN); PER: of the national id (its CN)
    _blob("sealed"),  # address, holder, name, … under the system key
    Column("secrets", LargeBinary),  # password hash, code secret, recovery codes, sealed; NULL where certificates only
    _int("last_step", 0),  # of the last accepted one-time code
    _int("epoch", 0),  # raised by suspension, password change, closing: open sessions end
    _int("modseq", 1),
    _int("used_octets", 0),
    _int("quota_octets"),
    _maybe("term_s"),  # the account's own retention term; NULL: the default
    _int("inbox_id"),
    _int("keywords", 0),  # how many keyword numbers are taken
    _int("rules", 0),  # bits of base.rules.Rule: what is looked up for mail that comes
    _int("created_at"),
    _maybe("signed_in_at"),
    Index("accounts_address", "address_digest", unique=True),
    Index("accounts_holder", "holder_digest"),
    Index("accounts_subject", "subject_digest"),
)

delegations = _rowless(
    "delegations",
    _id("account_id"),
    _id("delegate_id"),
    _int("rights"),  # bits of base.rights.Right
    _int("from_at"),
    _maybe("until_at"),  # NULL: until withdrawn
    _int("giver_id"),  # the account that gave it; 0: an administrator
    _int("created_at"),
    _int("told"),  # 0: the box is to be told by mail
    Index("delegations_delegate", "delegate_id"),
    Index("delegations_told", "told"),
)

absences = _rowless(
    "absences",
    _id("account_id"),
    _int("from_at"),
    _int("until_at"),
    _blob("sealed"),  # what is to be said, under the account's key
    _int("set_at"),
)

absence_answers = _rowless(
    # Who wrote during an absence and is told of it, once.
    "absence_answers",
    _id("account_id"),
    Column("digest", LargeBinary, primary_key=True),  # of the sender's address, for this account
    _blob("sealed"),  # the address, and what it answers, under the account's key; empty once told
    _int("noted_at"),
    _int("told"),  # 0: is to be told
    Index("absence_answers_told", "told", "noted_at"),
)

forwards = _rowless(
    "forwards",
    _id("account_id"),
    _blob("sealed"),  # the address that mail goes on to, under the account's key
    _int("keep"),  # 1: the box gets it too
    _int("set_at"),
    _int("told"),  # 0: the box is to be told by mail
    Index("forwards_told", "told"),
)

reminders = _rowless(
    # Senders whose programs leave out header fields that they ought to write.
    "reminders",
    _id("account_id"),
    _int("missing"),  # bits of flow.reminders.Missing
    _int("told_at"),
    _int("due"),  # 1: is to be told
    Index("reminders_due", "due"),
)

folders = _table(
    "folders",
    _id("folder_id"),
    _int("account_id"),
    _blob("name_digest"),
    _blob("sealed_name"),
    Column("role", String(12)),  # special use (RFC 6154) without its backslash, in lower case
    _int("uid_validity"),
    _int("uid_next", 1),
    _int("modseq", 1),  # of the latest change in this folder
    _int("vanished_floor", 0),  # vanished rows at or below this mod-sequence may be gone
    _int("recent_uid", 1),  # UIDs from here on haven't been \Recent to anyone
    _int("messages", 0),
    _int("unseen", 0),
    _int("octets", 0),
    _int("created_at"),
    Index("folders_name", "account_id", "name_digest", unique=True),
)

subscriptions = _rowless(
    "subscriptions",
    _id("account_id"),
    Column("name_digest", LargeBinary, primary_key=True),
    _blob("sealed_name"),
)

keywords = _rowless(
    "keywords",
    _id("account_id"),
    _id("number"),  # 0 to 62: the bit in messages.keywords
    _blob("sealed_name"),
)

messages = _rowless(
    "messages",
    _id("folder_id"),
    _id("uid"),
    _int("account_id"),
    _int("body_id"),
    _int("period"),  # its end; the message goes then
    _int("arrived_at"),  # when the store took it; COPY and MOVE keep it
    _int("saved_at"),  # when it came into this folder (RFC 8514)
    _int("internal_date"),
    Column("zone_minutes", SmallInteger, nullable=False),  # of INTERNALDATE
    _int("size_octets"),
    _int("flags"),  # bits of base.search.Flag
    _int("keywords"),  # bits by keyword number
    _int("modseq"),
    Index("messages_modseq", "folder_id", "modseq"),
    Index("messages_body", "body_id"),
    Index("messages_period", "period"),
)

vanished = _rowless(
    "vanished",
    _id("folder_id"),
    _id("modseq"),
    _id("uid_low"),
    _int("uid_high"),
)

bodies = _table(
    "bodies",
    _id("body_id"),
    _int("size_octets"),
    _int("created_at"),
    _int("place"),  # 0 inline, 1 in the body store
    _blob("lengths"),  # of the sealed chunks: little-endian 32-bit
    Column("data", LargeBinary),  # the sealed chunks end to end, where inline
)

records = _table("records", _id("body_id"), _blob("sealed"))

search_texts = _table("search_texts", _id("body_id"), _blob("sealed"))

search_columns = _table(
    # Header fields of some hundred messages of one account and period, sealed under a key wrapped as a body's is.
    "search_columns",
    _id("columns_id"),  # from the numbers of bodies
    _int("account_id"),
    _int("period"),
    _int("count"),
    _blob("wrapped"),
    _blob("sealed"),
    Index("search_columns_period", "period", "account_id"),
)

search_entries = _rowless(
    # Which columns hold a message's fields.
    "search_entries",
    _id("body_id"),
    _id("account_id"),
    _id("period"),
    _int("columns_id"),
    Index("search_entries_columns", "columns_id"),
)

search_due = _rowless(
    # Messages to be made searchable, by account and period, which share columns.
    "search_due",
    _id("account_id"),
    _id("period"),
    _id("body_id"),
)

wraps = _rowless(
    "wraps",
    _id("body_id"),
    _id("account_id"),
    _id("period"),
    _blob("wrapped"),
    Index("wraps_period", "period"),
)

body_outbox = _rowless(
    # Bodies that may have lost their last wrap: looked at after a grace, and removed once nothing holds them.
    "body_outbox",
    _id("body_id"),
    _int("due_at"),
    Index("body_outbox_due", "due_at"),
)

periods = _rowless(
    "periods",
    _id("period"),
    Column("state", String(8), nullable=False),  # open, closed, emptied, gone
    _maybe("closed_at"),
    _maybe("gone_at"),
    _int("erased", 0),  # messages erased so far
)

replays = _rowless(
    # Submissions whose 250 may not have been read: a repeat of an armed one is answered, not stored.
    "replays",
    Column("digest", LargeBinary, primary_key=True),
    _int("slot"),  # the worker that holds the connection
    _int("armed"),
    _int("at"),
    Column("queue_id", String(24), nullable=False),
)

queue_messages = _table(
    # Messages that other operators are to be given, and for some days those that were: their body is wrapped for
    # `base.ids.POST` while a recipient waits.
    "queue_messages",
    _id("queue_id"),  # from the numbers of bodies; a submission's is its body's own
    _int("body_id"),
    _int("account_id"),  # who sent it; 0: another operator's or the server's own
    _int("period"),  # of the wrap
    _int("size_octets"),
    _int("waiting"),  # recipients that aren't at their end
    _int("created_at"),
    _int("expires_at"),
    _maybe("deadline_at"),  # of the notice of delay, then of the lifetime; NULL: nothing waits
    _maybe("ended_at"),
    _blob("sealed"),  # sender and wishes, under the system key
    Index("queue_messages_body", "body_id"),
    Index("queue_messages_deadline", "deadline_at"),
    Index("queue_messages_ended", "ended_at"),
)

queue_recipients = _rowless(
    "queue_recipients",
    _id("queue_id"),
    _id("number"),  # from 1, in the envelope's order
    _blob("domain_digest"),
    Column("state", SmallInteger, nullable=False),  # store.queue.State
    _int("due_at"),  # of the next attempt
    _int("attempts"),
    _int("changed_at"),
    Column("cause", String(16)),  # of the last attempt: base.relay.Cause
    _blob("sealed"),  # address and wishes, under the system key
    Index("queue_recipients_due", "domain_digest", "state", "due_at", "queue_id"),
)

queue_attempts = _rowless(
    # What came of each attempt: the trace that a sender is shown.
    "queue_attempts",
    _id("queue_id"),
    _id("number"),
    _id("attempt"),
    _int("at"),
    Column("cause", String(16), nullable=False),
    _int("code"),  # of the peer's reply; 0: none
    _blob("sealed"),  # peer, TLS and answer, under the system key
)

queue_domains = _rowless(
    # Where mail goes: when there is something to do, and how the operator there fares.
    "queue_domains",
    Column("domain_digest", LargeBinary, primary_key=True),
    _int("next_at"),  # of the next lease; far off where nothing waits
    _int("retry_at", 0),  # nothing is tried before
    _int("failures", 0),  # connections in a row that came to nothing
    _int("paused", 0),  # 1: an administrator's
    Column("cause", String(16)),  # of the last failure
    _blob("sealed"),  # its name, under the system key
    Index("queue_domains_next", "paused", "next_at"),
)

queue_leases = _rowless(
    # A message on its way to a domain, in one worker's hands.
    "queue_leases",
    _id("queue_id"),
    Column("domain_digest", LargeBinary, primary_key=True),
    _int("slot"),
    _int("fence"),  # a number given once
    _int("until_ms"),
)

tls_results = _rowless(
    # How attempts to reach a domain's hosts over TLS went (RFC 8460 §4.3), by day.
    "tls_results",
    _id("day"),  # since the epoch, in UTC
    Column("domain_digest", LargeBinary, primary_key=True),
    Column("result", String(32), primary_key=True),  # `successful`, or a failure's type
    _int("count"),
)

correspondence = _rowless(
    # Who wrote to which patient, who may answer then.
    "correspondence",
    Column("patient_digest", LargeBinary, primary_key=True),
    _id("account_id"),
    _int("at"),  # the last time
    Index("correspondence_at", "at"),
)

grants = _rowless(
    "grants",
    _id("grant_id"),
    _int("account_id"),
    Column("client", LargeBinary, nullable=False),  # digest of the client's address
    _int("opened_at"),
    _int("ends_at"),
    _int("step"),  # of the code that opened or joined it
    Index("grants_account", "account_id", "client"),
)

places = _rowless(
    # Networks that an account's holder signed in from.
    "places",
    _id("account_id"),
    Column("client", LargeBinary, primary_key=True),  # digest of the client's address, as in grants
    _blob("area"),  # digest of the wider network
    _blob("sealed"),  # the address, under the system key
    _int("first_at"),
    _int("last_at"),
    _int("told"),  # 0: its holder is to be told by mail; 1: needn't be; 2: was
    Index("places_area", "account_id", "area"),
    Index("places_told", "told", "first_at"),
)

sendings = _rowless(
    # How much a person sent in the hour and the day of the clock that are named; the counts of others are nothing.
    "sendings",
    _id("account_id"),
    _int("hour"),  # since the epoch
    _int("day"),
    _int("messages_hour"),
    _int("recipients_hour"),
    _int("messages_day"),
    _int("recipients_day"),
    _int("held_at"),  # when a limit was last reached; 0: never
)

oauth_clients = _table(
    # Programs that may ask users for access (RFC 6749 §2).
    "oauth_clients",
    Column("client_id", String(64), primary_key=True),
    Column("secret", LargeBinary),  # digest of a confidential client's secret; NULL: a public one
    _blob("sealed"),  # name and redirects, under the system key
    _int("created_at"),
)

authorizations = _rowless(
    # What a user granted to a client: the family of all codes and tokens that come from it.
    "authorizations",
    _id("authorization_id"),
    _int("account_id"),
    Column("client_id", String(64), nullable=False),
    Column("scope", String(64), nullable=False),  # space-separated
    _int("epoch"),  # the account's, when it was granted: with another one the family is dead
    _int("created_at"),
    _int("used_at"),  # when tokens were last got by it
    _int("ends_at"),  # nothing can be got by it from then on
    Index("authorizations_account", "account_id"),
    Index("authorizations_end", "ends_at"),
)

tokens = _rowless(
    "tokens",
    Column("digest", LargeBinary, primary_key=True),
    _int("authorization_id"),
    Column("kind", SmallInteger, nullable=False),  # 0 access token, 1 refresh token, 2 code
    Column("binding", LargeBinary),  # of a code: digest of redirect and PKCE challenge
    _int("expires_at"),
    _int("used", 0),  # a code or refresh token that was redeemed: kept, so that a replay is known
    Index("tokens_authorization", "authorization_id"),
    Index("tokens_expiry", "expires_at"),
)

device_requests = _rowless(
    # RFC 8628: a device waits for its user to enter a code in a browser.
    "device_requests",
    Column("digest", LargeBinary, primary_key=True),  # of the device code
    _blob("user_digest"),
    Column("client_id", String(64), nullable=False),
    Column("scope", String(64), nullable=False),
    Column("state", SmallInteger, nullable=False),  # 0 waiting, 1 granted, 2 denied
    _int("authorization_id", 0),
    _int("interval_s"),
    _int("polled_at", 0),
    _int("expires_at"),
    Index("device_requests_user", "user_digest", unique=True),
)

web_sessions = _rowless(
    "web_sessions",
    Column("digest", LargeBinary, primary_key=True),
    _int("account_id"),
    _int("epoch"),
    _blob("sealed"),  # how and from where: mechanism, client, certificate
    _int("created_at"),
    _int("seen_at"),
    Index("web_sessions_account", "account_id"),
)

enrolments = _rowless(
    # One-time codes by which a holder sets password and code in a browser; one for an account at a time.
    "enrolments",
    _id("account_id"),
    _blob("digest"),
    _blob("sealed"),  # the secret for one-time codes that is shown, until it is confirmed
    _int("epoch"),
    _int("expires_at"),
    Index("enrolments_digest", "digest", unique=True),
)

failures = _rowless(
    "failures",
    Column("subject", LargeBinary, primary_key=True),  # digest of an address or an account
    Column("sealed", LargeBinary),  # what it is, for `ban list`, under the system key
    _int("count"),
    _int("last_at"),
    _int("until"),
)

leases = _rowless(
    "leases",
    Column("name", String(32), primary_key=True),
    Column("holder", String(64), nullable=False),
    _int("fence"),
    _int("until_ms"),
)

notices = _table(
    # From processes that share no wake-up socket with the workers: polled twice a second.
    "notices",
    Column("notice_id", Integer, primary_key=True, autoincrement=True),
    _int("at"),
    _int("account_id"),  # 0 for all
    Column("kind", String(16), nullable=False),
)

chains = _rowless(
    "chains",
    _id("chain_id"),
    _int("slot"),
    _int("started_at"),
    _int("batch"),  # of the lane's last commit, by which an unknown COMMIT is looked up
    _int("count"),
    _blob("head"),
    _int("cut"),  # events up to this sequence were cut at the end of their term
    _blob("cut_head"),
    _int("tied_count", -1),  # count and cut as the last checkpoint signed them
    _int("tied_cut", -1),
)

events = _rowless(
    "events",
    _id("chain_id"),
    _id("sequence"),
    _int("at_ms"),
    Column("kind", SmallInteger, nullable=False),
    _int("account_id"),
    Column("subject", LargeBinary),  # digest of the address it is about, for look-up
    _blob("sealed"),
    _blob("hash"),
    Index("events_at", "at_ms"),
    Index("events_account", "account_id", "at_ms"),
)

checkpoints = _table(
    "checkpoints",
    _id("number"),
    _int("at_ms"),
    _blob("statement"),
    _blob("signature"),
)

administrators = _table(
    # Who administers, apart from all accounts: a user of the operating system's, its roles sealed with its name.
    "administrators",
    _id("administrator_id"),
    _int("uid"),  # the operating system's
    _blob("name_digest"),
    _blob("sealed"),
    _int("created_at"),
    Index("administrators_uid", "uid", unique=True),
    Index("administrators_name", "name_digest", unique=True),
)

orders = _table(
    # Acts that one administrator ordered and that wait for a second one's consent.
    "orders",
    _id("order_id"),
    _int("until"),
    _blob("sealed"),
)

meta = _rowless("meta", Column("name", String(32), primary_key=True), Column("value", String(255), nullable=False))
