"""The classic ruleset as its documents have it, verbatim: what the generator is held to."""

from __future__ import annotations

EXPLAINED = """\
tc filter add dev vexbe87-eth0 pref 10001 parent ffff: protocol ip u32 match u8 0 1 at -14 match u16 0x0242 0xffff at -14 match u32 0xac110002 0xffffffff at -12 action pedit munge offset -14 u16 set 0x4e65 munge offset -12 u32 set 0x75560027 pipe action mirred egress mirror dev vbr-neuv
tc filter add dev vexbe87-eth0 pref 10002 parent ffff: protocol all u32 match u8 0 0 action mirred egress mirror dev vinbe87-eth0
tc filter add dev vinbe87-eth0 pref 10001 parent ffff: protocol ip u32 match u8 0 1 at -14 match u32 0x0242ac11 0xffffffff at -8 match u16 0x0002 0xffff at -4 action pedit munge offset -8 u32 set 0x4e657556 munge offset -4 u16 set 0x0027 pipe action mirred egress mirror dev vbr-neuv
tc filter add dev vinbe87-eth0 pref 10002 parent ffff: protocol all u32 match u8 0 0 action mirred egress mirror dev vexbe87-eth0
tc filter add dev vbr-neuv pref 39 parent ffff: protocol all u32 match u16 0x4e65 0xffff at -14 match u32 0x75560027 0xffffffff at -12 action pedit munge offset -14 u16 set 0x0242 munge offset -12 u32 set 0xac110002 pipe action mirred egress mirror dev vinbe87-eth0
tc filter add dev vbr-neuv pref 40 parent ffff: protocol all u32 match u32 0x4e657556 0xffffffff at -8 match u16 0x0027 0xffff at -4 action pedit munge offset -8 u32 set 0x0242ac11 munge offset -4 u16 set 0x0002 pipe action mirred egress mirror dev vexbe87-eth0
"""
"""Rules 1 to 5.2, in their order."""

BY_HAND = """\
tc qdisc add dev vin ingress
tc qdisc add dev vex ingress
tc qdisc add dev vbr ingress
tc filter add dev vex pref 10001 parent ffff: protocol ip u32 match u8 0 1 at -14 match u16 0x1a27 0xffff at -14 match u32 0xf3873a27 0xffffffff at -12 action pedit munge offset -14 u16 set 0x4e65 munge offset -12 u32 set 0x755600b4 pipe action mirred egress mirror dev vbr
tc filter add dev vex pref 10002 parent ffff: protocol all u32 match u8 0 0 action mirred egress mirror dev vin
tc filter add dev vbr pref 5 parent ffff: protocol all u32 match u16 0x4e65 0xffff at -14 match u32 0x755600b4 0xffffffff at -12 action pedit munge offset -14 u16 set 0x1a27 munge offset -12 u32 set 0xf3873a27 pipe action mirred egress mirror dev vin
tc filter add dev vin pref 10002 parent ffff: protocol all u32 match u8 0 0 action mirred egress mirror dev vex
tc filter add dev vin pref 10001 parent ffff: protocol ip u32 match u8 0 1 at -14 match u32 0x1a27f387 0xffffffff at -8 match u16 0x3a27 0xffff at -4 action pedit munge offset -8 u32 set 0x4e657556 munge offset -4 u16 set 0x00b4 pipe action mirred egress mirror dev vbr
tc filter add dev vbr pref 172 parent ffff: protocol all u32 match u32 0x4e657556 0xffffffff at -8 match u16 0x00b4 0xffff at -4 action pedit munge offset -8 u32 set 0x1a27f387 munge offset -4 u16 set 0x3a27 pipe action mirred egress mirror dev vex
"""
"""The pair wired by hand, in the order in which it was typed."""

SHOWN = """\
filter parent ffff: protocol all pref 5 u32 chain 0
filter parent ffff: protocol all pref 5 u32 chain 0 fh 800: ht divisor 1
filter parent ffff: protocol all pref 5 u32 chain 0 fh 800::800 order 2048 key ht 800 bkt 0 terminal flowid ??? not_in_hw
  match 00004e65/0000ffff at -16
  match 75560005/ffffffff at -12
        action order 1:  pedit action pipe keys 2
         index 3 ref 1 bind 1
         key #0  at -16: val 00000a3c mask ffff0000
         key #1  at -12: val 8cf9a266 mask 00000000

        action order 2: mirred (Egress Mirror to device vin74f9-eth0) pipe
        index 5 ref 1 bind 1

filter parent ffff: protocol all pref 27 u32 chain 0
filter parent ffff: protocol all pref 27 u32 chain 0 fh 801: ht divisor 1
filter parent ffff: protocol all pref 27 u32 chain 0 fh 801::800 order 2048 key ht 801 bkt 0 terminal flowid ??? not_in_hw
  match 4e657556/ffffffff at -8
  match 00050000/ffff0000 at -4
        action order 1:  pedit action pipe keys 2
         index 4 ref 1 bind 1
         key #0  at -8: val 0a3c8cf9 mask 00000000
         key #1  at -4: val a2660000 mask 0000ffff

        action order 2: mirred (Egress Mirror to device vex74f9-eth0) pipe
        index 6 ref 1 bind 1
"""
"""What a kernel showed of a pair's rules on vbr-neuv, some years of iproute2 ago."""
