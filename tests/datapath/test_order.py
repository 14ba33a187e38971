"""What is sent in a row arrives in a row, wherever it goes by."""

from __future__ import annotations

from tests import packets
from tests.lab.net.traffic import Program

IP, PORT, FLOWS, BURST = packets.pod_two_ip4, 7000, 20, 300
POLICY = f"""
groups: {{web: {{selector: {{name: web}}}}}}
rules: [{{id: 1, from: web, to: any, ports: [udp/{PORT}], action: allow}}]
"""
_RECEIVE = """
SO_RCVBUFFORCE = 33
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
sock.bind((sys.argv[1], int(sys.argv[2])))
say(ready=True)
newest, late = {}, 0
while (data := sock.recv(64)) != b"end":
    flow, number = data.split()
    late += int(number) < newest.get(flow, 0)
    newest[flow] = max(int(number), newest.get(flow, 0))
say(flows=len(newest), late=late)
"""
_SEND = """
where = sys.argv[1], int(sys.argv[2])
for flow in range(int(sys.argv[3])):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(where)
        for burst in range(2):
            for number in range(int(sys.argv[4])):
                sock.send(b"%d %d" % (flow, burst * 1000 + number))
            # A pause in which the kernel may take the flow over.
            time.sleep(0.01)
for _ in range(3):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.sendto(b"end", where)
"""


def test_no_packet_of_a_burst_is_overtaken_by_a_later_one(lab, agent):
    """Neither of a flow's first burst, which waits for its verdict, nor of the next."""
    _host, (web, client) = lab.pods()
    agent.policy(POLICY)
    agent.attach(web, "web", mode="protect")
    receiver = Program(client, _RECEIVE, IP, str(PORT))
    receiver.heard()
    Program(web, _SEND, IP, str(PORT), str(FLOWS), str(BURST))
    assert receiver.heard() == {"flows": FLOWS, "late": 0}
