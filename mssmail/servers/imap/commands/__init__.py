"""What each command does: a handler for every class of `wire.imap.commands`, in files named as its parsers are."""

from collections.abc import Mapping

from mssmail.servers.imap.commands import (
    acl,
    append,
    fetch,
    idle,
    listing,
    login,
    mailbox,
    message,
    quota,
    search,
    select,
    session,
)
from mssmail.servers.imap.session import Handler
from mssmail.wire.imap import commands
from mssmail.wire.imap.commands import Command

HANDLERS: Mapping[type[Command], Handler] = {
    commands.Capability: session.capability,
    commands.Noop: session.noop,
    commands.Logout: session.logout,
    commands.Id: session.identify,
    commands.StartTls: session.start_tls,
    commands.Enable: session.enable,
    commands.Namespace: session.namespace,
    commands.Authenticate: login.authenticate,
    commands.Login: login.login,
    commands.Select: select.select,
    commands.Examine: select.examine,
    commands.Check: session.noop,
    commands.Close: select.close,
    commands.Unselect: select.unselect,
    commands.Create: mailbox.create,
    commands.Delete: mailbox.delete,
    commands.Rename: mailbox.rename,
    commands.Subscribe: mailbox.subscribe,
    commands.Unsubscribe: mailbox.unsubscribe,
    commands.List: listing.listing,
    commands.Lsub: listing.lsub,
    commands.GetQuota: quota.get_quota,
    commands.GetQuotaRoot: quota.get_quota_root,
    commands.SetAcl: acl.set_acl,
    commands.DeleteAcl: acl.delete_acl,
    commands.GetAcl: acl.get_acl,
    commands.ListRights: acl.list_rights,
    commands.MyRights: acl.my_rights,
    commands.Status: mailbox.status,
    commands.Append: append.append,
    commands.Idle: idle.idle,
    commands.Expunge: message.expunge,
    commands.UidExpunge: message.uid_expunge,
    commands.Store: message.store,
    commands.Copy: message.copy,
    commands.Move: message.move,
    commands.Search: search.search,
    commands.Fetch: fetch.fetch,
}
