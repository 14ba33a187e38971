/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What is told by about 50 distinct things within one to two minutes. Scans: ports of one address, or addresses, that refuse one
 * source; what it is allowed, and is answered, does not count. Tunnels: names of one domain. In: things. Out: threats. */
#include "threat/sg_threat.h"

#define WINDOW_NS (60 * SG_SECOND)

enum { MANY = 45 };	/* bits of 256 that 50 things set */

/* The names under which ports of the target, and addresses, are counted for the source. */
static void name_ports(const struct sg_threats *threats, const struct sg_probe *probe, __u64 name[3])
{
	name[0] = (__u64)SG_THREAT_PORT_SCAN << 56 ^
		  sg_hash(threats->hash_key, probe->target, sizeof(probe->target)) >> 8;
	memcpy(&name[1], probe->source, sizeof(probe->source));
}

static void name_addresses(const struct sg_probe *probe, __u64 name[3])
{
	name[0] = (__u64)SG_THREAT_ADDRESS_SCAN << 56;
	memcpy(&name[1], probe->source, sizeof(probe->source));
}

static __u64 add(struct sg_threats *threats, const __u64 name[3], __u64 thing, enum sg_threat threat, __u64 now_ns)
{
	struct sg_distinct *d = sg_distinct_of(threats->distinct, threats->hash_key, name, WINDOW_NS, now_ns);

	sg_distinct_add(d, thing);
	return sg_distinct_count(d, WINDOW_NS, now_ns) >= MANY ? 1ULL << threat : 0;
}

__u64 sg_detect_scan(struct sg_threats *threats, const struct sg_probe *probe, __u64 now_ns)
{
	__u64 ports[3], addresses[3], port = (__u64)probe->proto << 16 | probe->port;

	name_ports(threats, probe, ports);
	name_addresses(probe, addresses);
	return add(threats, ports, sg_hash(threats->hash_key, &port, sizeof(port)), SG_THREAT_PORT_SCAN, now_ns) |
	       add(threats, addresses, sg_hash(threats->hash_key, probe->target, sizeof(probe->target)),
		   SG_THREAT_ADDRESS_SCAN, now_ns);
}

__u64 sg_detect_tunnel(struct sg_threats *threats, const __u64 domain[3], __u64 name, __u64 now_ns)
{
	return add(threats, domain, name, SG_THREAT_DNS_TUNNEL, now_ns);
}

static __u64 goes_on(const struct sg_threats *threats, const __u64 name[3], enum sg_threat threat, __u64 now_ns)
{
	const struct sg_distinct *d = sg_distinct_find(threats->distinct, threats->hash_key, name);

	return d && sg_distinct_count(d, WINDOW_NS, now_ns) >= MANY ? 1ULL << threat : 0;
}

__u64 sg_scans_of(const struct sg_threats *threats, const struct sg_probe *probe, __u64 now_ns)
{
	__u64 ports[3], addresses[3];

	name_ports(threats, probe, ports);
	name_addresses(probe, addresses);
	return goes_on(threats, ports, SG_THREAT_PORT_SCAN, now_ns) |
	       goes_on(threats, addresses, SG_THREAT_ADDRESS_SCAN, now_ns);
}
