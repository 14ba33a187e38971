/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Asks the recognisers; see the header. In: the first bytes of both sides. Out: what is known of the flow. Pure. */
#include <netinet/in.h>

#include "apps_bus/sg_apps_bus.h"
#include "apps_crypt/sg_apps_crypt.h"
#include "apps_data/sg_apps_data.h"
#include "apps_desk/sg_apps_desk.h"
#include "apps_line/sg_apps_line.h"
#include "apps_mail/sg_apps_mail.h"
#include "apps_net/sg_apps_net.h"
#include "apps_web/sg_apps_web.h"
#include "inspect/sg_answers.h"
#include "inspect/sg_recognise.h"
#include "prefix/sg_proxy.h"

#define BIT(app) (1ULL << (app))

enum over { TCP = 1, UDP = 2 };

struct recogniser {
	__u8 app;		/* enum sg_app */
	__u8 over;		/* enum over, as bits */
	enum sg_match (*match)(const struct sg_prefix *prefix);
	__u64 special;		/* applications that are this one too, and are told instead of it */
};

static const struct recogniser recognisers[] = {
	{ SG_APP_HTTP, TCP, sg_app_http, BIT(SG_APP_WEBSOCKET) | BIT(SG_APP_ELASTICSEARCH) },
	{ SG_APP_WEBSOCKET, TCP, sg_app_websocket, 0 },
	{ SG_APP_ELASTICSEARCH, TCP, sg_app_elasticsearch, 0 },
	{ SG_APP_HTTP2, TCP, sg_app_http2, BIT(SG_APP_GRPC) | BIT(SG_APP_ETCD) },
	{ SG_APP_GRPC, TCP, sg_app_grpc, BIT(SG_APP_ETCD) },
	{ SG_APP_ETCD, TCP, sg_app_etcd, 0 },
	{ SG_APP_TLS, TCP, sg_app_tls, BIT(SG_APP_DOT) },
	{ SG_APP_DOT, TCP, sg_app_dot, 0 },
	{ SG_APP_QUIC, UDP, sg_app_quic, 0 },
	{ SG_APP_SSH, TCP, sg_app_ssh, 0 },
	{ SG_APP_RTSP, TCP, sg_app_rtsp, 0 },
	{ SG_APP_SIP, TCP | UDP, sg_app_sip, 0 },
	{ SG_APP_SMTP, TCP, sg_app_smtp, 0 },
	{ SG_APP_IMAP, TCP, sg_app_imap, 0 },
	{ SG_APP_POP3, TCP, sg_app_pop3, 0 },
	{ SG_APP_FTP, TCP, sg_app_ftp, 0 },
	{ SG_APP_REDIS, TCP, sg_app_redis, 0 },
	{ SG_APP_MEMCACHED, TCP | UDP, sg_app_memcached, 0 },
	{ SG_APP_NATS, TCP, sg_app_nats, 0 },
	{ SG_APP_POSTGRESQL, TCP, sg_app_postgresql, 0 },
	{ SG_APP_MYSQL, TCP, sg_app_mysql, 0 },
	{ SG_APP_TDS, TCP, sg_app_tds, 0 },
	{ SG_APP_TNS, TCP, sg_app_tns, 0 },
	{ SG_APP_MONGODB, TCP, sg_app_mongodb, 0 },
	{ SG_APP_CASSANDRA, TCP, sg_app_cassandra, 0 },
	{ SG_APP_COUCHBASE, TCP, sg_app_couchbase, 0 },
	{ SG_APP_KAFKA, TCP, sg_app_kafka, 0 },
	{ SG_APP_AMQP, TCP, sg_app_amqp, 0 },
	{ SG_APP_MQTT, TCP, sg_app_mqtt, 0 },
	{ SG_APP_ZOOKEEPER, TCP, sg_app_zookeeper, 0 },
	{ SG_APP_SPARK, TCP, sg_app_spark, 0 },
	{ SG_APP_DNS, TCP | UDP, sg_app_dns, 0 },
	{ SG_APP_DHCP, UDP, sg_app_dhcp, 0 },
	{ SG_APP_NTP, UDP, sg_app_ntp, 0 },
	{ SG_APP_SNMP, TCP | UDP, sg_app_snmp, 0 },
	{ SG_APP_SYSLOG, TCP | UDP, sg_app_syslog, 0 },
	{ SG_APP_TFTP, UDP, sg_app_tftp, 0 },
	{ SG_APP_KERBEROS, TCP | UDP, sg_app_kerberos, 0 },
	{ SG_APP_LDAP, TCP | UDP, sg_app_ldap, 0 },
	{ SG_APP_NFS, TCP | UDP, sg_app_nfs, 0 },
	{ SG_APP_SMB, TCP | UDP, sg_app_smb, 0 },
	{ SG_APP_RDP, TCP | UDP, sg_app_rdp, 0 },
	{ SG_APP_VNC, TCP, sg_app_vnc, 0 },
	{ SG_APP_BITTORRENT, TCP | UDP, sg_app_bittorrent, 0 },
};

/* A datagram flow shows one datagram of each side, whatever its length. */
static int is_full(const struct sg_prefix *prefix, int side)
{
	return prefix->len[side] >= (prefix->proto == IPPROTO_TCP ? SG_PREFIX_BYTES : 1);
}

static __u64 special_of(__u8 app)
{
	for (__u32 i = 0; i < sizeof(recognisers) / sizeof(*recognisers); i++) {
		if (recognisers[i].app == app)
			return recognisers[i].special;
	}
	return 0;
}

/* Ask those that are left; return the certain ones, and *guessed. */
static __u64 ask(const struct sg_prefix *prefix, __u64 *open, __u64 *guessed)
{
	__u8 over = prefix->proto == IPPROTO_TCP ? TCP : UDP;
	int begins = !*open;
	__u64 certain = 0;

	*guessed = 0;
	for (__u32 i = 0; i < sizeof(recognisers) / sizeof(*recognisers); i++) {
		const struct recogniser *one = &recognisers[i];
		enum sg_match match;

		if (!(one->over & over) || !(begins || *open & BIT(one->app)))
			continue;
		match = one->match(prefix);
		*open |= BIT(one->app);
		if (match == SG_MATCH_NO)
			*open &= ~BIT(one->app);
		if (match == SG_MATCH_CERTAIN)
			certain |= BIT(one->app);
		if (match == SG_MATCH_GUESS)
			*guessed |= BIT(one->app);
	}
	return certain;
}

/* Whether it is one bit, and no more. */
static int is_one(__u64 apps)
{
	return apps && !(apps & (apps - 1));
}

/* Return the first of them that none of the others is a special case of. */
static __u8 most_special(__u64 certain)
{
	__u64 left = certain;

	while (special_of((__u8)__builtin_ctzll(left)) & certain)
		left &= left - 1;
	return (__u8)__builtin_ctzll(left);
}

static void tell(struct sg_recognised *known, __u8 app, enum sg_app_proof proof)
{
	known->app = app;
	known->proof = proof;
}

/* Compare the certain application with what the server says. */
static void hear_answer(const struct sg_prefix *prefix, struct sg_recognised *known)
{
	enum sg_match match;

	if (prefix->proto != IPPROTO_TCP || known->answered)
		return;
	match = sg_answer_fits(known->app, prefix->data[1], prefix->len[1]);
	known->answered = match == SG_MATCH_CERTAIN;
	if (match == SG_MATCH_NO)
		tell(known, SG_APP_UNKNOWN, SG_APP_UNPROVEN);
}

void sg_recognise(const struct sg_prefix *whole, struct sg_recognised *known)
{
	struct sg_prefix prefix = *whole;
	__u32 skipped = sg_proxy_length(whole);
	__u64 certain, guessed;

	if (known->proof == SG_APP_CERTAIN)
		hear_answer(whole, known);
	if (known->proof == SG_APP_CERTAIN || known->app == SG_APP_UNKNOWN)
		return;
	if (skipped) {
		prefix.data[0] += skipped;
		prefix.len[0] -= skipped;
	}
	certain = ask(&prefix, &known->open, &guessed);
	known->guessed = guessed;
	known->kind = 0;
	known->family = 0;
	tell(known, SG_APP_NONE, SG_APP_UNPROVEN);
	if (certain) {
		__u8 app = most_special(certain);

		/* It is one of these for sure; which of them shows only what comes. */
		known->open &= BIT(app) | special_of(app);
		guessed &= known->open;
		known->guessed = guessed ? guessed : BIT(app);
		if (known->open == BIT(app) || is_full(whole, 0)) {
			tell(known, app, SG_APP_CERTAIN);
		} else {
			tell(known, is_one(guessed) ? (__u8)__builtin_ctzll(guessed) : app, SG_APP_GUESS);
			known->kind = app;
			known->family = known->open;
			known->answered = sg_answer_fits(app, whole->data[1], whole->len[1]) == SG_MATCH_CERTAIN;
		}
	} else if (!known->open || (is_full(whole, 0) && is_full(whole, 1))) {
		tell(known, SG_APP_UNKNOWN, SG_APP_UNPROVEN);
	} else if (is_one(guessed)) {
		tell(known, (__u8)__builtin_ctzll(guessed), SG_APP_GUESS);
	}
	if (known->proof == SG_APP_CERTAIN)
		hear_answer(whole, known);
}
