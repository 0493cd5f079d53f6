"""Which address a request is counted against."""

from __future__ import annotations

import pytest

from pier_registry.settings import Settings
from pier_registry.web.auth import client_address

INSIDE = Settings(trusted_proxies=("10.0.0.0/8", "2001:db8::/32"))


def address(peer: str, settings: Settings = INSIDE, **headers: str) -> str:
    return client_address({"REMOTE_ADDR": peer, **headers}, settings)


def test_over_tcp_it_is_the_peer() -> None:
    assert address("192.0.2.1") == "192.0.2.1"


@pytest.mark.parametrize("peer", ["192.0.2.1", "10.0.0.1", "127.0.0.1"])
def test_over_tcp_the_proxys_own_header_is_ignored(peer: str) -> None:
    assert address(peer, HTTP_X_PIER_CLIENT="203.0.113.9") == peer


@pytest.mark.parametrize("peer", ["", "unix", "unix:"])
def test_on_the_unix_socket_it_is_what_our_proxy_says(peer: str) -> None:
    assert address(peer, HTTP_X_PIER_CLIENT="203.0.113.9") == "203.0.113.9"


def test_on_the_unix_socket_without_a_word_it_is_the_socket() -> None:
    assert (address(""), client_address({}, INSIDE)) == ("unix", "unix")


@pytest.mark.parametrize("peer", ["192.0.2.1", "", "not an address"])
def test_whoever_is_not_trusted_cannot_speak_for_another(peer: str) -> None:
    assert address(peer, HTTP_X_FORWARDED_FOR="203.0.113.9") == (peer or "unix")


def test_without_trusted_proxies_nobody_can() -> None:
    assert address("10.0.0.1", Settings(), HTTP_X_FORWARDED_FOR="203.0.113.9") == "10.0.0.1"


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("8.8.8.8, 203.0.113.9", "203.0.113.9"),
        ("8.8.8.8, 203.0.113.9, 10.1.1.1,10.2.2.2", "203.0.113.9"),
        ("203.0.113.9:4711", "203.0.113.9"),
        ("2001:db9::7", "2001:db9::7"),
        ("[2001:db9::7]:4711, 2001:db8::1", "2001:db9::7"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("10.1.1.1, 10.2.2.2", "10.1.1.1"),
        ("8.8.8.8, nonsense", "10.0.0.1"),
        ("8.8.8.8, nonsense, 10.3.3.3", "10.3.3.3"),
        ("8.8.8.8,", "10.0.0.1"),
        ("", "10.0.0.1"),
    ],
)
def test_a_trusted_proxy_is_believed_up_to_the_first_stranger(forwarded: str, client: str) -> None:
    assert address("10.0.0.1", HTTP_X_FORWARDED_FOR=forwarded) == client


def test_a_trusted_proxy_in_front_of_ours_is_believed_too() -> None:
    assert address("", HTTP_X_PIER_CLIENT="10.0.0.1", HTTP_X_FORWARDED_FOR="8.8.8.8, 203.0.113.9") == "203.0.113.9"


def test_an_ipv4_peer_in_ipv6_clothes_is_the_same_peer() -> None:
    assert address("::ffff:192.0.2.1") == "192.0.2.1"
