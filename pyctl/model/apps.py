"""Applications that the engine recognises: their names and numbers, and which of them contain others.

In, out: names, numbers, sets as bits. I/O: none. The numbers are those of enum sg_app.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

NUMBERS: Mapping[str, int] = {
    "HTTP": 1,
    "HTTP2": 2,
    "gRPC": 3,
    "WebSocket": 4,
    "TLS": 5,
    "DoT": 6,
    "QUIC": 7,
    "DNS": 8,
    "SSH": 9,
    "SMTP": 10,
    "FTP": 11,
    "LDAP": 12,
    "Kerberos": 13,
    "SMB": 14,
    "RDP": 15,
    "VNC": 16,
    "NFS": 17,
    "PostgreSQL": 18,
    "MySQL": 19,
    "TDS": 20,
    "TNS": 21,
    "MongoDB": 22,
    "Redis": 23,
    "Memcached": 24,
    "Kafka": 25,
    "Cassandra": 26,
    "Elasticsearch": 27,
    "ZooKeeper": 28,
    "etcd": 29,
    "AMQP": 30,
    "MQTT": 31,
    "NATS": 32,
    "RTSP": 33,
    "SIP": 34,
    "DHCP": 35,
    "NTP": 36,
    "SNMP": 37,
    "syslog": 38,
    "BitTorrent": 39,
    "TFTP": 40,
    "Spark": 41,
    "Couchbase": 42,
    "IMAP": 43,
    "POP3": 44,
}
"""enum sg_app by the name that is shown and written."""
UNKNOWN = 63
"""SG_APP_UNKNOWN: the flow was looked at, and is none of them."""
UNKNOWN_NAME = "unknown"
CONTAINS: Mapping[str, tuple[str, ...]] = {
    "HTTP": ("WebSocket", "Elasticsearch"),
    "HTTP2": ("gRPC", "etcd"),
    "gRPC": ("etcd",),
    "TLS": ("DoT",),
}
"""What else a rule for this application holds for."""
_NAMES = {number: name for name, number in NUMBERS.items()} | {UNKNOWN: UNKNOWN_NAME}
_BY_LOWER = {name.lower(): name for name in NUMBERS}


def app_name(number: int) -> str | None:
    """Return the name of an enum sg_app; None for SG_APP_NONE, the number as text for an unknown one."""
    return _NAMES.get(number, str(number)) if number else None


def spelled(name: str) -> str | None:
    """Return the application's name as it is shown, whatever its letters' case; None: there is none."""
    return _BY_LOWER.get(name.lower())


def app_bits(names: Iterable[str]) -> int:
    """Return the set of these applications, with those that they contain, as bits 1 << number."""
    every = {inner for name in names for inner in (name, *CONTAINS.get(name, ()))}
    return sum(1 << NUMBERS[name] for name in every)
