"""aioimaplib fetches whole bodies, flags, and while it idles hears of a message within a second."""

import asyncio

import aiosmtplib
from aioimaplib import aioimaplib

from tests.demo_process import DemoProcess, message
from tests.interop.witness import Box, deliver, digest, text


async def test_idle_announces(demo: DemoProcess) -> None:
    """A message sent during IDLE is announced within 1 s; so is the next one."""
    sender, recipient = demo.account("box0008"), demo.account("box0009")
    client = aioimaplib.IMAP4_SSL(demo.host, demo.port("imaps"), ssl_context=demo.tls())
    await client.wait_hello_from_server()
    assert (await client.login(recipient["login"], demo.password("box0009"))).result == "OK"
    assert (await client.select("INBOX")).result == "OK"
    idle = await client.idle_start(timeout=30)
    async with aiosmtplib.SMTP(
        hostname=demo.host, port=demo.port("submissions"), use_tls=True, tls_context=demo.tls()
    ) as smtp:
        await smtp.login(sender["login"], demo.password("box0008"))
        for n in (1, 2):
            mail = message(sender["address"], recipient["address"], f"pendant IDLE {n}")
            await smtp.sendmail(sender["address"], [recipient["address"]], mail)
            async with asyncio.timeout(1):
                heard: list[bytes] = []
                while f"{n} EXISTS".encode() not in heard:
                    heard += await client.wait_server_push()
    client.idle_done()
    await asyncio.wait_for(idle, 5)
    assert (await client.logout()).result == "OK"


async def test_fetches_and_flags(demo: DemoProcess) -> None:
    """Bodies are those that were sent, found by SEARCH; a flag set by UID reaches the server, and CLOSE expunges."""
    local = "box0010"
    bodies = [text(f"aioimaplib {n}") for n in range(10)]
    await asyncio.to_thread(deliver, demo, local, {f"aioimaplib {n}": body for n, body in enumerate(bodies)})
    client = aioimaplib.IMAP4_SSL(demo.host, demo.port("imaps"), ssl_context=demo.tls())
    await client.wait_hello_from_server()
    assert (await client.login(demo.account(local)["login"], demo.password(local))).result == "OK"
    assert (await client.select("INBOX")).result == "OK"
    for n, body in enumerate(bodies):
        found = await client.uid_search(f'SUBJECT "aioimaplib {n}"')
        fetched = await client.uid("fetch", found.lines[0].decode(), "(BODY.PEEK[TEXT])")
        assert digest(bytes(fetched.lines[1])) == digest(body.encode())
    uid = (await client.uid_search('SUBJECT "aioimaplib 7"')).lines[0].decode()
    assert (await client.uid("store", uid, r"+FLAGS (\Flagged)")).result == "OK"
    assert await asyncio.to_thread(Box(demo, local).has_flag, "aioimaplib 7", rb"\Flagged")
    assert (await client.uid("store", uid, r"+FLAGS (\Deleted)")).result == "OK"
    assert (await client.close()).result == "OK"
    assert await asyncio.to_thread(Box(demo, local).find, "INBOX", "aioimaplib 7") is None
    assert (await client.logout()).result == "OK"
