/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Follows a TLS handshake up to the ServerHello that counts; see the header. In: the first bytes of both sides. Out: facts.
 * Pure. What this does not understand before that, other than early data, makes all fields ambiguous. */
#include "apps_crypt/sg_tls_facts.h"

#include <string.h>

#include "apps_crypt/sg_hello.h"
#include "apps_crypt/sg_records.h"
#include "apps_crypt/sg_server_hello.h"

#define BIT(number) (1U << (number))
#define TLS_1_3 0x0304

enum { INITIATOR = 1, OTHER = 2 };	/* bits of sg_facts.next */

static const __u32 NAMES = BIT(SG_FIELD_SNI) | BIT(SG_FIELD_NAME);
static const __u32 ALL = NAMES | BIT(SG_FIELD_ALPN) | BIT(SG_FIELD_VERSION);

/* What one side has from some place on. */
struct rest {
	const __u8 *at;
	__u32 len;
};

/* Go behind so many bytes, as far as they are there: the rest of a record that a message shares may not be. */
static void go_on(struct rest *rest, __u32 count)
{
	count = count < rest->len ? count : rest->len;
	rest->at += count;
	rest->len -= count;
}

static void take_hello(struct sg_facts *facts, const struct sg_hello *hello)
{
	facts->known = NAMES | BIT(SG_FIELD_ALPN);
	facts->broken |= hello->shares ? ALL : hello->broken;
	if (facts->broken & NAMES)
		facts->broken |= NAMES;
	facts->version_most = hello->version_most;
	facts->alpn_len = hello->alpn_len;
	memcpy(facts->alpn, hello->alpn, hello->alpn_len);
	facts->sni_len = hello->sni_len;
	memcpy(facts->sni, hello->sni, hello->sni_len);
}

static void wait_for(struct sg_facts *facts, __u32 fields, __u8 side)
{
	facts->known &= ~fields;
	facts->open = fields;
	facts->next = side;
}

/* Take the server's answer, or wait for it. Returns whether it asks for another ClientHello. */
static int take_answer(struct sg_facts *facts, struct rest *client, struct rest *server)
{
	struct sg_server_hello answer;
	enum sg_match match = sg_server_hello_read(server->at, server->len, &answer);

	if (match == SG_MATCH_MORE) {
		/* Only early data may come before the answer. */
		go_on(client, sg_records_skip(client->at, client->len, BIT(SG_RECORD_CIPHER) | BIT(SG_RECORD_DATA)));
		if (client->len && client->at[0] == SG_RECORD_HANDSHAKE)
			facts->broken = ALL;
		wait_for(facts, BIT(SG_FIELD_VERSION), OTHER);
		return 0;
	}
	if (match == SG_MATCH_CERTAIN && answer.retries) {
		go_on(server, answer.end);
		return 1;
	}
	facts->version = answer.version;
	facts->known |= match == SG_MATCH_CERTAIN ? BIT(SG_FIELD_VERSION) : 0;
	return 0;
}

/* Take the ClientHello that a server has asked for, or wait for it. Returns whether it is there. */
static int take_again(struct sg_facts *facts, struct rest *client)
{
	struct sg_hello again;
	enum sg_match match;

	go_on(client, sg_records_skip(client->at, client->len, BIT(SG_RECORD_CIPHER) | BIT(SG_RECORD_DATA)));
	if (client->len && client->at[0] != SG_RECORD_HANDSHAKE && client->at[0] != SG_RECORD_ALERT) {
		/* The rest of a record is to come, or it is none. */
		match = client->at[0] == SG_RECORD_CIPHER || client->at[0] == SG_RECORD_DATA ? SG_MATCH_MORE : SG_MATCH_NO;
	} else {
		match = sg_hello_read(client->at, client->len, &again);
	}
	if (match == SG_MATCH_MORE || match == SG_MATCH_GUESS) {
		wait_for(facts, ALL, INITIATOR);
		return 0;
	}
	if (match == SG_MATCH_NO || again.sni_len != facts->sni_len || memcmp(again.sni, facts->sni, again.sni_len)) {
		facts->broken = ALL;
		return 0;
	}
	take_hello(facts, &again);
	go_on(client, again.end);
	return 1;
}

void sg_tls_facts(const struct sg_prefix *prefix, struct sg_facts *facts)
{
	struct rest client = { prefix->data[0], prefix->len[0] }, server = { prefix->data[1], prefix->len[1] };
	struct sg_hello hello;

	if (sg_hello_read(client.at, client.len, &hello) != SG_MATCH_CERTAIN)
		return;
	take_hello(facts, &hello);
	go_on(&client, hello.end);
	if (!take_answer(facts, &client, &server) || !take_again(facts, &client))
		return;
	go_on(&server, sg_records_skip(server.at, server.len, BIT(SG_RECORD_CIPHER)));
	if (server.len && server.at[0] == SG_RECORD_CIPHER)
		wait_for(facts, BIT(SG_FIELD_VERSION), OTHER);
	else if (take_answer(facts, &client, &server))
		facts->broken = ALL;
}

void sg_tls_facts_bare(const __u8 *at, __u32 len, struct sg_facts *facts)
{
	struct sg_hello first, again;
	enum sg_match match = sg_hello_read_bare(at, len, &first);

	if (match == SG_MATCH_MORE || match == SG_MATCH_GUESS) {
		wait_for(facts, ALL, INITIATOR);
		return;
	}
	if (match == SG_MATCH_NO) {
		facts->broken = ALL;
		return;
	}
	take_hello(facts, &first);
	if (len > first.end) {
		match = sg_hello_read_bare(at + first.end, len - first.end, &again);
		if (match == SG_MATCH_NO ||
		    (match == SG_MATCH_CERTAIN &&
		     (again.sni_len != first.sni_len || memcmp(again.sni, first.sni, first.sni_len)))) {
			facts->broken = ALL;
			return;
		}
		if (match == SG_MATCH_CERTAIN)
			take_hello(facts, &again);
	}
	facts->version = TLS_1_3;
	facts->known |= BIT(SG_FIELD_VERSION);
}
