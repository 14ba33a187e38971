"""The protocols that nDPI's results name for each flow.

In: files result/*.out of nDPI's tests. Out: protocol by the flow's ends. I/O: reads them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

from scripts.bench.corpus.captures import TCP, UDP, End
from scripts.bench.corpus.flows import Pair

FLOW = re.compile(
    r"^\t\d+\t(TCP|UDP) (\S+) (?:<->|->) (\S+) (?:\[[^\]]*\])*?\[proto: [\d.]+/([^\]]+)\]"
    r"(.*?\[Confidence: ([^\]]+)\])?",
    re.MULTILINE,
)
OURS = {
    "HTTP_Proxy": "HTTP",
    "HTTP_Connect": "HTTP",
    "SMTPS": "TLS",
    "IMAPS": "TLS",
    "POPS": "TLS",
    "FTPS": "TLS",
    "FTP_CONTROL": "FTP",
    "MsSQL-TDS": "TDS",
    "Oracle": "TNS",
    "SMBv1": "SMB",
    "SMBv23": "SMB",
    "Syslog": "syslog",
    "RPC": "NFS",
    "GRPC": "gRPC",
    "Nats": "NATS",
    "RESP": "Redis",
    "SOAP": "HTTP",
    "MapleStory": "HTTP",
    "HAProxy": "TLS",
    "NetBIOS.SMBv1": "SMB",
    "NetBIOS.SMBv23": "SMB",
    "MDNS": "DNS",
    "LLMNR": "DNS",
    "AVASTSecureDNS": "DNS",
    "DHCPV6": "DHCP",
}
"""What nDPI calls otherwise, by its port or by who sends it. In HAProxy's one capture TLS is behind its header."""
FIRST = {
    "ftp-start-tls.pcap": "FTP",
    "imap-starttls.pcap": "IMAP",
    "pop3_stls.pcap": "POP3",
    "rdp_over_tls.pcap": "RDP",
    "smtp-starttls.pcap": "SMTP",
}
"""Captures whose connections become TLS, as nDPI calls them, and what they are first."""
MIDDLE = {
    "gquic_only_from_server.pcap",
    "quic_sh.pcap",
    "radius_false_positive.pcapng",
}
"""Captures that lack the first datagrams of a connection; of TCP the sequence numbers say that."""


def _end(text: str) -> End:
    """Of some IPv6 addresses nDPI writes what is none; they match no flow."""
    address, _, port = text.rpartition(":")
    address = address.strip("[]")
    try:
        return str(ip_address(address)), int(port)
    except ValueError:
        return address, int(port)


def expected(result: Path) -> Iterator[tuple[Pair, str, str]]:
    """Yield the ends of each flow, its protocol without what runs over it, and how nDPI came to that."""
    for found in FLOW.finditer(result.read_text(encoding="utf-8", errors="replace")):
        proto, source, target, path, _, how = found.groups()
        first = path.split(".")[0]
        pair = TCP if proto == "TCP" else UDP, frozenset((_end(source), _end(target)))
        if (proto, path) == ("TCP", "NetBIOS"):
            path = "NetBIOS.SMBv1"  # Its sessions carry SMB; here one begins and nothing follows.
        name = FIRST.get(
            result.name.removesuffix(".out"), OURS.get(path, OURS.get(first, first))
        )
        yield pair, name, how or ""


def captures(directory: Path) -> Iterator[tuple[Path, Path]]:
    """Yield each capture with its result, one of each name."""
    seen = set()
    for result in sorted(directory.glob("**/result/*.out")):
        capture = result.parent.parent / "pcap" / result.name.removesuffix(".out")
        if capture.name not in seen and capture.is_file():
            seen.add(capture.name)
            yield capture, result
