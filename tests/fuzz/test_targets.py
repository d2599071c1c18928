"""Whatever octets a parser is given, it reads or refuses them: the corpus again, and a search of its own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.target import CORPUS, Target
from tests.fuzz.targets import TARGETS

BY_NAME = [pytest.param(target, id=name) for name, target in TARGETS.items()]


def test_each_corpus_has_its_target() -> None:
    """No folder of the corpus is left without somebody who reads it, and no target without a beginning."""
    assert {folder.name for folder in CORPUS.iterdir()} == set(TARGETS)
    assert [name for name, target in TARGETS.items() if not target.corpus()] == []


@pytest.mark.parametrize("target", BY_NAME)
def test_corpus(target: Target) -> None:
    """What once failed, and what a search begins with, passes."""
    for file in target.corpus():
        target.run(file.read_bytes())


def inputs(target: Target) -> st.SearchStrategy[bytes]:
    """Words in any order among octets, and files of the corpus with something of theirs replaced."""
    words = st.lists(st.one_of(st.sampled_from(target.words), st.binary(max_size=3)), max_size=24).map(b"".join)
    kept = st.sampled_from([file.read_bytes() for file in target.corpus()])
    spliced = st.builds(
        lambda octets, at, size, put: octets[:at] + put + octets[at + size :],
        kept,
        st.integers(0, 400),
        st.integers(0, 12),
        words,
    )
    begun = st.builds(bytes.__add__, st.binary(min_size=1, max_size=4), words)
    return st.one_of(words, begun, spliced).map(lambda octets: octets[: target.max_octets])


@pytest.mark.fuzz
@pytest.mark.parametrize("target", BY_NAME)
@given(data=st.data())
def test_any_octets(target: Target, data: st.DataObject) -> None:
    """A parser raises nothing but what its room promises, and keeps what must hold."""
    target.run(data.draw(inputs(target)))
