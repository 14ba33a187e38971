"""How many packets of an allowed TLS connection the engine sees before the kernel carries it.

In: a world whose server is attached under RULE. Out: packets of a connection. I/O: openssl, a client in Python.
"""

from __future__ import annotations

import statistics
import time

from scripts.bench.worlds import Bed, World
from tests.lab.net.traffic import Program
from tests.lab.pace import wait_for

PORT = 8443
NAME = "www.bench.test"
RULE = f'ports: [tcp/{PORT}], tls: {{sni: ["*.bench.test"]}}, action: allow'
PROTOCOLS = [f"protocol-{number:03}" for number in range(115)]
"""ALPN's, which make a ClientHello of 1.8 KB: as large as one with a key of ML-KEM."""
_CLIENT = """
import ssl
ip, port, name, times = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
context = ssl.create_default_context(); context.check_hostname = False; context.verify_mode = ssl.CERT_NONE
context.set_alpn_protocols(sys.argv[5].split(","))
for _ in range(times):
    talk = context.wrap_socket(socket.create_connection((ip, port), 10), server_hostname=name)
    talk.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
    while talk.recv(65536): pass
    talk.close()
say(done=times)
"""


def serve(lab: Bed, world: World) -> None:
    """Start OpenSSL's server; return when it listens."""
    key = lab.folder / "tls.pem"
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    made = ("-days", "9", "-subj", f"/CN={NAME}", "-keyout", key, "-out", key)
    world.server.run("openssl", "req", "-x509", *curve, *made)
    options = ("-cert", key, "-accept", str(PORT), "-www", "-quiet")
    quiet = {"stdin": -3, "stdout": -3, "stderr": -3}
    world.server.spawn("openssl", "s_server", *options, **quiet)
    listens = f":{PORT} "
    wait_for(lambda: listens in world.server.run("ss", "-Hltn").stdout, 20)


def engine_packets(world: World, times: int) -> dict[str, float]:
    """Let a client connect so often; return how many packets of both directions the engine took: median, and p95."""
    agent = world.agent
    assert agent is not None
    since = time.time()
    argv = (world.server.address, str(PORT), NAME, str(times), ",".join(PROTOCOLS))
    Program(world.client, _CLIENT, *argv).heard()

    def ended() -> list[int]:
        flows = agent.client.flows(10 * times)["flows"]
        return [
            flow["packets"] + flow["packets_back"] - flow["kernel_packets"]
            for flow in flows
            if flow["destination_port"] == PORT
            and flow["started"] >= since
            and not flow["live"]
        ]

    found = wait_for(lambda: known if len(known := ended()) >= times else [], 20)
    return {"median": statistics.median(found), "p95": statistics.quantiles(found, n=20)[-1]}  # fmt: skip
