"""Judging the tokens of a trusted OpenID provider, over real HTTPS: what is taken, and why something isn't."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from mssmail.base.clock import FakeClock
from mssmail.base.refusal import Reason, Refusal
from mssmail.base.secret import Secret
from mssmail.identity.openid import provider as calling
from mssmail.identity.openid.keyset import MAX_SET_OCTETS
from mssmail.identity.openid.provider import DOWN_S, FRESH_S, KEPT_S, RETRY_S, TOLD_S
from mssmail.identity.openid.providers import Providers
from mssmail.identity.openid.token import MAX_TOKEN_OCTETS
from mssmail.identity.openid.verdict import Rejected, Vouched
from mssmail.settings.model import OpenId, Settings
from tests.support.origin import Answer, Asked
from tests.support.provider import (
    AUDIENCE,
    LIFETIME_S,
    PROGRAM,
    PlayedProvider,
    b64url,
    ec_key,
    forged,
    hs256,
    published,
    rsa_key,
)

HOLDER = "810000000001"


class Post:
    """Providers as a server has them, with one that is played."""

    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock()
        self.played = PlayedProvider(folder, self.clock)
        self.providers = self.fresh()

    def fresh(self, **rules: object) -> Providers:
        """As a server just started has them."""
        return Providers(self.settings(**rules), self.clock)

    def settings(self, **rules: object) -> Settings:
        return replace(Settings(), openid=OpenId(providers=(self.played.rules(**rules),)))

    def judge(self, token: str, providers: Providers | None = None) -> Vouched | Rejected:
        found = (providers or self.providers).vouch(Secret(token), may_call=True)
        assert found is not None
        return found

    def holder(self, token: str, providers: Providers | None = None) -> str:
        found = self.judge(token, providers)
        assert isinstance(found, Vouched), found
        return found.holder


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Post]:
    built = Post(tmp_path / "provider")
    yield built
    built.providers.close()
    built.played.close()


def test_good(post: Post) -> None:
    """A token as Pro Santé Connect makes it speaks for its professional until it ends."""
    until = post.clock.now() + LIFETIME_S
    assert post.judge(post.played.token()) == Vouched("psc", HOLDER, PROGRAM, until)
    assert (post.played.calls("description"), post.played.calls("keys")) == (1, 1)


Make = Callable[[PlayedProvider], str]

TAKEN: list[tuple[str, Make, dict[str, object]]] = [
    ("one audience as a text", lambda p: p.token(aud=AUDIENCE), {}),
    ("a holder that isn't a number", lambda p: p.token("ANS20231122132732"), {}),
    ("no azp, a client_id", lambda p: p.token(azp=None, client_id=PROGRAM), {"clients": (PROGRAM,)}),
    ("acr not looked at", lambda p: p.token(acr=None), {"acr": ()}),
    ("practice not looked at", lambda p: p.token(SubjectRefPro=None), {"require_practice": False}),
    ("ended within the leeway", lambda p: p.token(exp=p.now - 29), {}),
    ("begins within the leeway", lambda p: p.token(nbf=p.now + 29), {}),
    ("no iat", lambda p: p.token(iat=None), {}),
    ("dates with fractions", lambda p: p.token(exp=p.now + 1.5), {}),
    ("no typ in the header", lambda p: p.token(header={"typ": None}), {}),
    ("at+jwt", lambda p: p.token(header={"typ": "at+jwt"}), {}),
    ("no kid, one key", lambda p: p.token(header={"kid": None}), {}),
    ("unknown header parameters", lambda p: p.token(header={"x5t": "x", "jku": "https://evil.example/"}), {}),
    ("another claim for the id", lambda p: p.token(None, rpps="x1"), {"identity_claim": "rpps"}),
    ("another algorithm, pinned", lambda p: p.token(alg="PS256"), {"algorithms": ("RS256", "PS256")}),
]


@pytest.mark.parametrize(("make", "rules"), [c[1:] for c in TAKEN], ids=[c[0] for c in TAKEN])
def test_taken(post: Post, make: Make, rules: dict[str, object]) -> None:
    """What differs from the usual and is right is taken."""
    assert post.holder(make(post.played), post.fresh(**rules))


def test_elliptic_curve(post: Post) -> None:
    """ES256 is taken where it is pinned."""
    post.played.publish(ec_key("e1"))
    assert post.holder(post.played.token(key=ec_key("e1"), alg="ES256"), post.fresh(algorithms=("ES256",))) == HOLDER


def _public_pem() -> bytes:
    return rsa_key("k1").as_pem(private=False)


def _nested(played: PlayedProvider) -> str:
    return played.token(header={"cty": "JWT"})


def _resigned(played: PlayedProvider) -> str:
    """Other claims under a good signature."""
    header, _, signature = played.token().split(".")
    return f"{header}.{b64url(json.dumps(played.claims('810000000099')).encode())}.{signature}"


def _raw(claims: bytes) -> Make:
    return lambda p: forged({"alg": "RS256", "kid": "k1"}, claims, b"x" * 256)


REJECTED: list[tuple[str, Make, str, bool]] = [
    ("alg none", lambda p: forged({"alg": "none", "kid": "k1"}, p.claims()), "algorithm", False),
    ("alg None", lambda p: forged({"alg": "None", "kid": "k1"}, p.claims()), "algorithm", False),
    ("HS256 by the public key", lambda p: hs256(p.claims(), _public_pem(), "k1"), "algorithm", False),
    ("an algorithm that isn't pinned", lambda p: p.token(alg="RS512"), "algorithm", False),
    ("wrong key, known kid", lambda p: p.token(key=rsa_key("k2"), header={"kid": "k1"}), "signature", False),
    ("wrong key, unknown kid", lambda p: p.token(key=rsa_key("k2")), "unknown key", False),
    (
        "own key in the header",
        lambda p: p.token(key=rsa_key("k2"), header={"jwk": published(rsa_key("k2"))}),
        "key",
        False,
    ),
    ("other claims", _resigned, "signature", False),
    ("no signature", lambda p: p.token().rpartition(".")[0] + ".", "signature", False),
    ("signature cut short", lambda p: p.token()[:-8], "signature", False),
    ("another issuer", lambda p: p.token(iss="https://evil.example/"), "issuer", False),
    ("the issuer with a slash", lambda p: p.token(iss=p.issuer + "/"), "issuer", False),
    ("no issuer", lambda p: p.token(iss=None), "issuer", False),
    ("issuer no text", lambda p: p.token(iss=[p.issuer]), "issuer", False),
    ("another audience", lambda p: p.token(aud="other"), "audience", True),
    ("no audience", lambda p: p.token(aud=None), "audience", True),
    ("audience an object", lambda p: p.token(aud={AUDIENCE: 1}), "audience", True),
    ("expired", lambda p: p.token(exp=p.now - 30), "expired", True),
    ("no end", lambda p: p.token(exp=None), "no end", True),
    ("an end as a text", lambda p: p.token(exp="9999999999"), "no end", True),
    ("an end that is true", lambda p: p.token(exp=True), "no end", True),
    ("an endless end", lambda p: p.token(exp=10**400), "no end", True),
    ("not yet valid", lambda p: p.token(nbf=p.now + 31), "not valid yet", True),
    ("made in the future", lambda p: p.token(iat=p.now + 31), "future", True),
    ("acr too low", lambda p: p.token(acr="eidas0"), "strong", True),
    ("no acr", lambda p: p.token(acr=None), "strong", True),
    ("acr a list", lambda p: p.token(acr=["eidas1"]), "strong", True),
    ("no practice", lambda p: p.token(SubjectRefPro={"exercices": []}), "practice", True),
    ("nothing of practices", lambda p: p.token(SubjectRefPro=None), "practice", True),
    ("practices no list", lambda p: p.token(SubjectRefPro={"exercices": {"codeProfession": "10"}}), "practice", True),
    (
        "another profession",
        lambda p: p.token(SubjectRefPro={"exercices": [{"codeProfession": "35"}]}),
        "practice",
        True,
    ),
    ("nobody", lambda p: p.token(None), "no professional", True),
    ("a holder that is a number", lambda p: p.token(SubjectNameID=810000000001), "no professional", True),
    ("a holder with NUL", lambda p: p.token("81\0"), "no professional", True),
    ("a long holder", lambda p: p.token("8" * 101), "no professional", True),
    ("an ID token", lambda p: p.token(typ="ID"), "access token", True),
    ("a refresh token", lambda p: p.token(typ="Refresh"), "access token", True),
    ("a logout token", lambda p: p.token(header={"typ": "logout+jwt"}), "access token", False),
    ("nested", _nested, "access token", False),
    ("encrypted", lambda p: p.encrypted(), "encrypted", False),
    (
        "crit",
        lambda p: forged({"alg": "RS256", "kid": "k1", "crit": ["b64"], "b64": False}, p.claims()),
        "extension",
        False,
    ),
    ("kid no text", lambda p: forged({"alg": "RS256", "kid": 1}, p.claims()), "no text", False),
    ("no alg", lambda p: forged({"kid": "k1"}, p.claims()), "no text", False),
    ("1 MB", lambda p: p.token(pad="x" * (1 << 20)), "longer", False),
    ("just too long", lambda p: "a." + "a" * MAX_TOKEN_OCTETS + ".a", "longer", False),
    ("a long header", lambda p: p.token(header={"x5t": "x" * 4096}), "three parts", False),
    ("garbage for claims", _raw(b"{"), "JSON", False),
    ("claims a list", _raw(b"[]"), "object", False),
    ("claims nested deeply", _raw(b'{"a":' + b"[" * 11_000), "JSON", False),
    ("a claim twice", _raw(b'{"iss":"a","iss":"b"}'), "JSON", False),
    ("NaN", _raw(b'{"exp":NaN}'), "JSON", False),
    ("not UTF-8", _raw(b'{"iss":"\xff"}'), "JSON", False),
    ("not base64url", lambda p: "a+b.c/d.e=f", "base64url", False),
    ("dots alone", lambda p: "..", "", False),
    ("two parts", lambda p: "a.b", "neither", False),
    ("opaque", lambda p: "0123456789abcdef", "neither", False),
    ("signs beyond ASCII", lambda p: "é.\ud800.b", "", False),
]


@pytest.mark.parametrize(("make", "words", "genuine"), [c[1:] for c in REJECTED], ids=[c[0] for c in REJECTED])
def test_rejected(post: Post, make: Make, words: str, genuine: bool) -> None:
    """What isn't right is refused with its cause, none of which is the token's own words, and told from a guess."""
    found = post.judge(make(post.played))
    assert isinstance(found, Rejected)
    assert words in found.detail
    assert found.genuine is genuine
    assert found.reason is (Reason.NOT_ELIGIBLE if "practice" in words else Reason.TOKEN)
    assert "evil" not in found.detail


# --- keys ---

ODD_KEYS: list[tuple[str, dict[str, object]]] = [
    ("RSA-1024", published(rsa_key("odd", 1024))),
    ("for encryption", published(rsa_key("odd"), use="enc")),
    ("not for verifying", published(rsa_key("odd"), key_ops=["encrypt"])),
    ("for another algorithm", published(rsa_key("odd"), alg="RS512")),
    ("alg no text", published(rsa_key("odd"), alg=1)),
    ("private", {**rsa_key("odd").as_dict(private=True), "use": "sig"}),
    ("symmetric", {"kty": "oct", "kid": "odd", "k": b64url(b"x" * 32)}),
    ("of a curve", published(ec_key("odd"))),
    ("kid no text", {**published(rsa_key("odd")), "kid": 7}),
    ("no exponent", {key: value for key, value in published(rsa_key("odd")).items() if key != "e"}),
    ("exponent 2", {**published(rsa_key("odd")), "e": "Ag"}),
    ("a huge exponent", {**published(rsa_key("odd")), "e": b64url(b"\1" * 200)}),
    ("a huge modulus", {**published(rsa_key("odd")), "n": b64url(b"\xff" * 20_000)}),
    ("modulus no text", {**published(rsa_key("odd")), "n": 5}),
    ("kty unknown", {**published(rsa_key("odd")), "kty": "AKP"}),
]


@pytest.mark.filterwarnings("ignore:Key size")
@pytest.mark.parametrize("odd", [c[1] for c in ODD_KEYS], ids=[c[0] for c in ODD_KEYS])
def test_odd_key(post: Post, odd: dict[str, object]) -> None:
    """A key that is odd is left out, and the good one beside it serves."""
    post.played.keys = [odd, published(rsa_key("k1"))]
    assert post.holder(post.played.token()) == HOLDER
    bits = 1024 if odd is ODD_KEYS[0][1] else 2048
    found = post.judge(post.played.token(key=rsa_key("odd", bits)))
    assert isinstance(found, Rejected)
    assert found.detail == "signed by an unknown key"


def test_two_keys_without_a_name(post: Post) -> None:
    """Without a kid, two keys that fit are one too many."""
    post.played.publish(rsa_key("k1"), rsa_key("k2"))
    found = post.judge(post.played.token(header={"kid": None}))
    assert isinstance(found, Rejected)


def test_rotation(post: Post) -> None:
    """A token by a key that came up meanwhile is taken at once; one by the key that went isn't, remembered or not."""
    old = post.played.token()
    assert post.holder(old) == HOLDER
    post.clock.advance(RETRY_S)
    post.played.rotate("k2")
    assert post.holder(old) == HOLDER  # nobody has asked yet
    assert post.holder(post.played.token()) == HOLDER
    assert post.played.calls("keys") == 2
    found = post.judge(old)
    assert isinstance(found, Rejected)
    assert found.detail == "signed by an unknown key"


def test_rotation_under_load(post: Post) -> None:
    """Many tokens of a new key at once are all taken, by one call."""
    post.holder(post.played.token())
    post.clock.advance(RETRY_S)
    post.played.rotate("k2")
    post.played.go_on.clear()
    tokens = [post.played.token(jti=str(n)) for n in range(8)]
    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(post.holder, token) for token in tokens]
        post.played.go_on.set()
        assert {one.result() for one in waiting} == {HOLDER}
    assert post.played.calls("keys") == 2


def test_unknown_keys_are_asked_for_seldom(post: Post) -> None:
    """A flood of made-up key names costs one call in `RETRY_S`, and a token of a known key no wait."""
    post.holder(post.played.token())
    for n in range(50):
        assert isinstance(post.judge(post.played.token(header={"kid": f"x{n}"})), Rejected)
    assert post.played.calls("keys") == 1
    post.clock.advance(RETRY_S)
    for n in range(50):
        assert isinstance(post.judge(post.played.token(header={"kid": f"y{n}"})), Rejected)
    assert post.played.calls("keys") == 2
    assert post.providers.vouch(Secret(post.played.token(jti="new")), may_call=False) is not None


def test_on_the_loop_nobody_is_called(post: Post) -> None:
    """Without leave to call, a first token waits for who has it, and a later one doesn't."""
    token = Secret(post.played.token())
    assert post.providers.vouch(token, may_call=False) is None
    assert post.played.origin.asked == []
    post.judge(token.reveal())
    assert isinstance(post.providers.vouch(token, may_call=False), Vouched)
    assert isinstance(post.providers.vouch(Secret(post.played.token(jti="2")), may_call=False), Vouched)


def test_withdrawn_key(post: Post) -> None:
    """A key that its provider has taken back serves no longer than `FRESH_S`, remembered tokens included."""
    token = post.played.token(exp=int(post.clock.now()) + 10_000)
    post.holder(token)
    post.played.rotate("k2")
    post.clock.advance(FRESH_S - 1)
    assert post.holder(token) == HOLDER
    post.clock.advance(1)
    assert isinstance(post.judge(token), Rejected)


def test_provider_away(post: Post) -> None:
    """While the provider is away its last keys serve, for a bounded time; it is tried seldom, and found again."""
    end = int(post.clock.now()) + 100_000
    post.holder(post.played.token())
    post.played.away()
    post.clock.advance(FRESH_S)
    assert post.holder(post.played.token(exp=end)) == HOLDER
    calls = post.played.calls("description")
    assert post.holder(post.played.token(exp=end, jti="2")) == HOLDER
    assert post.played.calls("description") == calls
    post.clock.advance(KEPT_S)
    with pytest.raises(Refusal) as caught:
        post.judge(post.played.token(exp=end, jti="3"))
    assert caught.value.reason is Reason.UNAVAILABLE
    post.played.instead = None
    post.clock.advance(DOWN_S)
    assert post.holder(post.played.token(exp=end, jti="4")) == HOLDER


def _of_another(played: PlayedProvider) -> Callable[[Asked], Answer]:
    """Its true keys, under a description that names somebody else."""

    def answer(asked: Asked) -> Answer:
        usual = played.usual(asked)
        return replace(usual, body=usual.body.replace(played.issuer.encode() + b'"', b'https://evil.example"'))

    return answer


WRONG: list[tuple[str, Callable[[PlayedProvider], Callable[[Asked], Answer]]]] = [
    ("503", lambda p: lambda asked: Answer(503)),
    ("a redirection", lambda p: lambda asked: Answer(302, headers={"Location": p.issuer})),
    ("nothing", lambda p: lambda asked: Answer(200)),
    ("garbage", lambda p: lambda asked: Answer(200, b"\xff{")),
    ("a list", lambda p: lambda asked: Answer(200, b"[]")),
    ("1 MB", lambda p: lambda asked: Answer(200, b'{"issuer":"' + b"x" * (1 << 20) + b'"}')),
    ("nested deeply", lambda p: lambda asked: Answer(200, b"[" * 60_000)),
    ("cut short", lambda p: lambda asked: Answer(200, b"{", octets=500)),
    ("another issuer", _of_another),
    ("no keys", lambda p: lambda asked: Answer(200, json.dumps({"issuer": p.issuer}).encode())),
    (
        "keys in clear",
        lambda p: lambda asked: Answer(200, json.dumps({"issuer": p.issuer, "jwks_uri": "http://127.0.0.1/"}).encode()),
    ),
    (
        "keys in a file",
        lambda p: (
            lambda asked: Answer(200, json.dumps({"issuer": p.issuer, "jwks_uri": "file:///etc/passwd"}).encode())
        ),
    ),
]


@pytest.mark.parametrize("make", [c[1] for c in WRONG], ids=[c[0] for c in WRONG])
def test_wrong_provider(post: Post, make: Callable[[PlayedProvider], Callable[[Asked], Answer]]) -> None:
    """Whatever a provider answers in the place of its keys, tokens can't be judged for now; then it is asked again."""
    post.played.instead = make(post.played)
    token = post.played.token()
    with pytest.raises(Refusal) as caught:
        post.judge(token)
    assert caught.value.reason is Reason.UNAVAILABLE
    post.played.instead = None
    with pytest.raises(Refusal):
        post.judge(token)
    post.clock.advance(RETRY_S)
    assert post.holder(token) == HOLDER


@pytest.mark.parametrize(
    "body",
    [
        b'{"keys":{}}',
        b"{}",
        b'{"keys":[1,null,"x",[]]}',
        b'{"keys":[]}',
        b'{"keys":["' + b"x" * MAX_SET_OCTETS + b'"]}',
    ],
    ids=["object", "nothing", "no keys", "empty", "huge"],
)
def test_wrong_key_set(post: Post, body: bytes) -> None:
    """A set without usable keys lets nobody in."""
    post.played.instead = lambda asked: Answer(200, body) if asked.path.endswith("/certs") else post.played.usual(asked)
    try:
        assert isinstance(post.judge(post.played.token()), Rejected)
    except Refusal as refusal:
        assert refusal.reason is Reason.UNAVAILABLE


def test_silent_provider(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider that never answers is given up in time."""
    monkeypatch.setattr(calling, "CALL_S", 0.2)
    post.played.go_on.clear()
    with pytest.raises(Refusal) as caught:
        post.judge(post.played.token())
    assert caught.value.reason is Reason.UNAVAILABLE


def test_provider_of_another_authority(post: Post, tmp_path: Path) -> None:
    """Keys come from whom the authorities named vouch for, or not at all."""
    (tmp_path / "other.pem").write_text("")
    for ca in (tmp_path / "other.pem", tmp_path / "missing.pem", None):
        with pytest.raises(Refusal):
            post.judge(post.played.token(), post.fresh(ca=ca))


# --- what is remembered ---


def test_remembered_until_the_end(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token once verified isn't verified again, and expires all the same."""
    token = post.played.token()
    post.holder(token)
    monkeypatch.setattr(calling, "verify", None)
    assert post.holder(token) == HOLDER
    monkeypatch.undo()
    post.clock.advance(LIFETIME_S + 30)
    found = post.judge(token)
    assert isinstance(found, Rejected)
    assert found.detail == "expired"


def test_renewed(post: Post) -> None:
    """Changed settings count at once, for remembered tokens too; unchanged ones keep the keys."""
    token = post.played.token()
    post.holder(token)
    post.providers.renew(post.settings())
    assert post.holder(token) == HOLDER
    assert post.played.calls("keys") == 1
    post.providers.renew(post.settings(acr=("eidas3",)))
    assert isinstance(post.judge(token), Rejected)
    post.providers.renew(Settings())
    found = post.judge(token)
    assert isinstance(found, Rejected)
    assert found.detail == "of an issuer that isn't trusted"


# --- introspection ---


def test_introspection(post: Post) -> None:
    """An opaque token is shown to its provider, whose yes counts for a moment."""
    providers = post.fresh(mode="introspection")
    post.played.opaque("abc")
    assert providers.vouch(Secret("abc"), may_call=False) is None
    assert post.holder("abc", providers) == HOLDER
    assert isinstance(providers.vouch(Secret("abc"), may_call=False), Vouched)
    assert post.played.calls("introspection") == 1
    post.played.active.clear()
    post.clock.advance(TOLD_S)
    found = post.judge("abc", providers)
    assert isinstance(found, Rejected)
    assert not found.genuine


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"active": "true"}, "active"),
        ({"active": False, "exp": 9_999_999_999}, "active"),
        ({"iss": "https://evil.example"}, "issuer"),
        ({"aud": "other"}, "audience"),
        ({"exp": 1}, "expired"),
        ({"acr": "eidas0"}, "strong"),
        ({"SubjectNameID": None}, "no professional"),
    ],
    ids=repr,
)
def test_introspection_says(post: Post, said: dict[str, object], words: str) -> None:
    """What the provider says of a token is judged like a token's own claims."""
    providers = post.fresh(mode="introspection")
    post.played.active["abc"] = {"active": True, **post.played.claims(), **said}
    found = post.judge("abc", providers)
    assert isinstance(found, Rejected)
    assert words in found.detail


def test_introspection_without_dates(post: Post) -> None:
    """Only `active` must be there by RFC 7662: a yes without issuer and end counts for a moment."""
    providers = post.fresh(mode="introspection")
    post.played.opaque("abc", iss=None, exp=None, iat=None)
    assert post.holder("abc", providers) == HOLDER


def test_introspection_away(post: Post) -> None:
    """While the provider can't be asked, tokens can't be judged."""
    providers = post.fresh(mode="introspection")
    post.played.opaque("abc")
    post.holder("abc", providers)
    post.clock.advance(TOLD_S)
    for body in (Answer(500), Answer(200, b"{"), Answer(200, b"x" * 100_000)):
        post.played.instead = lambda asked, body=body: body
        with pytest.raises(Refusal) as caught:
            post.judge("abc", providers)
        assert caught.value.reason is Reason.UNAVAILABLE


def test_a_token_is_shown_to_nobody_else(post: Post) -> None:
    """A token that names another issuer is never sent to the provider that introspects."""
    providers = post.fresh(mode="introspection")
    assert isinstance(post.judge(post.played.token(iss="https://other.example"), providers), Rejected)
    assert post.played.origin.asked == []


def test_wrong_secret(post: Post) -> None:
    """A secret that the provider refuses, or that can't be read, leaves tokens unjudged, and shows nowhere."""
    providers = post.fresh(mode="introspection")
    post.played.opaque("abc")
    post.played.secret.write_text("wr0ng")
    with pytest.raises(Refusal) as caught:
        post.judge("abc", providers)
    assert "wr0ng" not in repr(caught.value)
    post.played.secret.unlink()
    with pytest.raises(Refusal):
        post.judge("abc", providers)
