"""MAIL and RCPT read strictly, their parameters' values as they were spelt."""

import pytest

from mssmail.base.relay import NEVER, By, Notify, RecipientWishes, Wishes
from mssmail.servers.smtp import replies
from mssmail.servers.smtp.envelope import BadCommand, parse_mail, parse_rcpt


@pytest.mark.parametrize(
    ("argument", "sender", "size", "wishes"),
    [
        ("FROM:<a@b.fr>", "a@b.fr", 0, Wishes()),
        ("from: <A@B.fr> ", "A@b.fr", 0, Wishes()),
        ("FROM:<>", None, 0, Wishes()),
        ("FROM:<a@b.fr> SIZE=12 body=8bitmime", "a@b.fr", 12, Wishes(eight_bit=True)),
        ("FROM:<a@b.fr> BODY=7BIT", "a@b.fr", 0, Wishes()),
        ("FROM:<a@b.fr> RET=hdrs ENVID=Qq+2Bz", "a@b.fr", 0, Wishes(ret="HDRS", envid="Qq+2Bz")),
        ("FROM:<é@b.fr> SMTPUTF8", "é@b.fr", 0, Wishes(utf8=True)),
        ("FROM:<a@b.fr> AUTH=<>", "a@b.fr", 0, Wishes()),
        ("FROM:<a@b.fr> AUTH=e+3Dmc2@x.fr  SIZE=0", "a@b.fr", 0, Wishes()),
        ("FROM:<a@b.fr> MT-PRIORITY=4", "a@b.fr", 0, Wishes(priority=4)),
        ("FROM:<a@b.fr> mt-priority=-9", "a@b.fr", 0, Wishes(priority=-9)),
        ("FROM:<a@b.fr> BY=60;R", "a@b.fr", 0, Wishes(by_s=60, by=By.RETURN)),
        ("FROM:<a@b.fr> by=+000000120;rt", "a@b.fr", 0, Wishes(by_s=120, by=By.RETURN, by_trace=True)),
        ("FROM:<a@b.fr> BY=5;N", "a@b.fr", 0, Wishes(by_s=5)),
        ("FROM:<a@b.fr> BY=-999999999;NT", "a@b.fr", 0, Wishes(by_s=-999999999, by_trace=True)),
    ],
)
def test_mail(argument: str, sender: str | None, size: int, wishes: Wishes) -> None:
    """A good MAIL is read as it is meant."""
    mail = parse_mail(argument.strip(), extended=True)
    assert (None if mail.sender is None else str(mail.sender)) == sender
    assert (mail.size_octets, mail.wishes) == (size, wishes)


@pytest.mark.parametrize(
    ("argument", "reply"),
    [
        ("", replies.BAD_MAIL),
        ("TO:<a@b.fr>", replies.BAD_MAIL),
        ("FROM:a@b.fr", replies.BAD_MAIL),
        ("FROM:<a@b.fr", replies.BAD_MAIL),
        ("FROM:<a@b.fr>SIZE=1", replies.BAD_MAIL),
        ("FROM:<a@b.fr><c@d.fr>", replies.BAD_MAIL),
        ("FROM:<a b@c.fr>", replies.BAD_MAIL),
        ("FROM:Claire <a@b.fr>", replies.BAD_MAIL),
        ('FROM:<"a"@b.fr>', replies.BAD_SENDER),
        ("FROM:<a(c)@b.fr>", replies.BAD_SENDER),
        ("FROM:<@x,@y:a@b.fr>", replies.BAD_SENDER),
        ("FROM:<a@[127.0.0.1]>", replies.BAD_SENDER),
        ("FROM:<a>", replies.BAD_SENDER),
        ("FROM:<" + "a" * 65 + "@b.fr>", replies.BAD_SENDER),
        ("FROM:<é@b.fr>", replies.ASCII_SENDER),
        ("FROM:<é@b.fr> SIZE=1", replies.ASCII_SENDER),
        ("FROM:<a@b.fr> SIZE", replies.BAD_PARAMETER),
        ("FROM:<a@b.fr> SIZE=", replies.BAD_PARAMETER),
        ("FROM:<a@b.fr> SIZE=-1", replies.BAD_PARAMETER),
        ("FROM:<a@b.fr> SIZE=²", replies.BAD_PARAMETER),
        ("FROM:<a@b.fr> SIZE=" + "9" * 21, replies.BAD_PARAMETER),
        ("FROM:<a@b.fr> SIZE=1 SIZE=2", replies.BAD_PARAMETER),
        ("FROM:<a@b.fr> BODY=BINARYMIME", replies.BAD_PARAMETER),
        ("FROM:<a@b.fr> SMTPUTF8=yes", replies.BAD_PARAMETER),
        ("FROM:<a@b.fr> RET=ALL", replies.BAD_PARAMETER),
        ("FROM:<a@b.fr> ENVID=" + "a" * 101, replies.BAD_PARAMETER),
        ("FROM:<a@b.fr> ENVID=a+2b", replies.BAD_PARAMETER),
        ("FROM:<a@b.fr> ENVID=a=b", replies.BAD_PARAMETER),
        ("FROM:<a@b.fr> X_Y=1", replies.BAD_PARAMETER),
        *((f"FROM:<a@b.fr> MT-PRIORITY{bad}", replies.BAD_PARAMETER) for bad in ("", "=+1", "=10", "=-0", "=00", "=x")),
        ("FROM:<a@b.fr> BY=0;R", replies.BAD_PARAMETER),
        ("FROM:<a@b.fr> BY=-60;R", replies.BAD_PARAMETER),
        ("FROM:<a@b.fr> BY=59;RT", replies.BY_TOO_SOON),
        *(
            (f"FROM:<a@b.fr> BY={bad}", replies.BAD_PARAMETER)
            for bad in ("60", "60;", "60;X", "1234567890;N", ";N", "²;N")
        ),
        ("FROM:<a@b.fr> NOTIFY=NEVER", replies.UNKNOWN_PARAMETER),
    ],
)
def test_bad_mail(argument: str, reply: bytes) -> None:
    """A MAIL that isn't one way to read is refused with the reason."""
    with pytest.raises(BadCommand) as caught:
        parse_mail(argument, extended=True)
    assert caught.value.reply == reply


@pytest.mark.parametrize(
    ("argument", "recipient", "notify", "orcpt"),
    [
        ("TO:<a@b.fr>", "a@b.fr", None, ""),
        (
            "to:<a@b.fr> notify=success,Failure ORCPT=rfc822;Ab+2Bc@d.fr",
            "a@b.fr",
            Notify.SUCCESS | Notify.FAILURE,
            "rfc822;Ab+2Bc@d.fr",
        ),
        ("TO:<a@b.fr> NOTIFY=NEVER", "a@b.fr", NEVER, ""),
        ("TO:<a@b.fr> NOTIFY=DELAY", "a@b.fr", Notify.DELAY, ""),
        ("TO:<PostMaster>", "PostMaster@own.fr", None, ""),
    ],
)
def test_rcpt(argument: str, recipient: str, notify: Notify | None, orcpt: str) -> None:
    """A good RCPT is read as it is meant."""
    rcpt = parse_rcpt(argument, extended=True, utf8=False, domain="own.fr")
    assert (str(rcpt.recipient), rcpt.wishes) == (recipient, RecipientWishes(notify, orcpt))


@pytest.mark.parametrize(
    ("argument", "reply"),
    [
        ("TO:<>", replies.BAD_RECIPIENT),
        ("FROM:<a@b.fr>", replies.BAD_RCPT),
        ("TO:<é@b.fr>", replies.ASCII_RECIPIENT),
        ("TO:<a@b.fr> NOTIFY=NEVER,DELAY", replies.BAD_PARAMETER),
        ("TO:<a@b.fr> NOTIFY=DELAY,DELAY", replies.BAD_PARAMETER),
        ("TO:<a@b.fr> NOTIFY=SUCCESS,", replies.BAD_PARAMETER),
        ("TO:<a@b.fr> NOTIFY=EVER", replies.BAD_PARAMETER),
        ("TO:<a@b.fr> NOTIFY=", replies.BAD_PARAMETER),
        ("TO:<a@b.fr> ORCPT=a@b.fr", replies.BAD_PARAMETER),
        ("TO:<a@b.fr> ORCPT=utf-8;é@b.fr", replies.BAD_PARAMETER),
        ("TO:<a@b.fr> ORCPT=rfc822;" + "a" * 500, replies.BAD_PARAMETER),
        ("TO:<a@b.fr> SIZE=1", replies.UNKNOWN_PARAMETER),
    ],
)
def test_bad_rcpt(argument: str, reply: bytes) -> None:
    """A RCPT that isn't one way to read is refused with the reason."""
    with pytest.raises(BadCommand) as caught:
        parse_rcpt(argument, extended=True, utf8=False, domain="own.fr")
    assert caught.value.reply == reply


def test_parameters_need_ehlo() -> None:
    """A client that said HELO has no parameters."""
    with pytest.raises(BadCommand) as caught:
        parse_mail("FROM:<a@b.fr> SIZE=1", extended=False)
    assert caught.value.reply == replies.BAD_MAIL
