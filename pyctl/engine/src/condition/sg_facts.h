/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What the bytes of a flow tell besides its application. */
#ifndef SG_FACTS_H
#define SG_FACTS_H

#include "api/sg_apps.h"
#include "api/sg_conditions.h"
#include "condition/sg_name.h"

enum sg_facts_limit { SG_FACTS_ALPN = 256 };

struct sg_fact_text {
	const char *at;		/* not terminated */
	__u32 len;
};

/* Of a field that is in none of the three sets nothing can be told any more. */
struct sg_facts {
	__u64 held;		/* key of a condition that has held, whatever the rest says; 0: none */
	__u64 as_of_ns;		/* when what held was judged by all that could be known, and nothing is known now; 0: all of this counts */
	__u32 known;		/* bits 1 << enum sg_field */
	__u32 open;		/* what comes may tell it, from the sides in `next` */
	__u32 broken;		/* what was said may be understood in several ways */
	__u8 next;		/* bit per side: its next bytes may tell something, or something else; 0: all is told */
	__u8 any_name;		/* SG_FIELD_NAME holds, whatever it asks for: the flow shows no name, or it is asked what one would change */
	__u8 sni_len;		/* 0: no name */
	__u16 alpn_len;		/* 0: no protocol */
	__u16 version;		/* TLS's, as the server chose it */
	__u16 version_most;	/* the highest that the client offers; 0: not known */
	__u8 sni[SG_NAME_MAX];	/* as sg_name_read() writes it */
	__u8 alpn[SG_FACTS_ALPN];	/* each protocol after its length, one byte */
	struct sg_fact_text method;	/* of one request of HTTP */
	struct sg_fact_text host;	/* lower case; empty: none */
	struct sg_fact_text path;	/* empty: none */
};

/* Return whether a flow of this application shows the name of whom it is for, where it can be read. */
static inline int sg_facts_shows_name(__u8 app)
{
	const __u64 shows = 1ULL << SG_APP_TLS | 1ULL << SG_APP_DOT | 1ULL << SG_APP_QUIC | 1ULL << SG_APP_HTTP |
			    1ULL << SG_APP_WEBSOCKET | 1ULL << SG_APP_HTTP2 | 1ULL << SG_APP_GRPC | 1ULL << SG_APP_ETCD;

	return shows >> app & 1;
}

/* Say that nothing more will come. */
static inline void sg_facts_close(struct sg_facts *facts)
{
	facts->open = 0;
	facts->next = 0;
}

#endif
