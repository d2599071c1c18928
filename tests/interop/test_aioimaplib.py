"""aioimaplib idles, and hears of a message within a second."""

import asyncio

import aiosmtplib
from aioimaplib import aioimaplib

from tests.demo_process import DemoProcess, message


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
