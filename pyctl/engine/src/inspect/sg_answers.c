/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* First bytes of servers; see the header. In: an application, bytes. Out: a match. Pure.
 *
 * A client could send the first bytes of one application to a server of another that skips what it does not understand, as
 * those do whose commands are lines, and talk to that one afterwards. What such a server says first is no row here. */
#include "inspect/sg_answers.h"

/* What a byte of a row stands for, besides itself. */
enum { ANY = '.', DIGIT = '#', HIGH = '^' };	/* a digit or a minus; a byte from 0x80 on */

#define ROW(app, bytes) { SG_APP_##app, sizeof(bytes) - 1, bytes }

static const struct {
	__u8 app;
	__u8 len;		/* 0: its server says nothing */
	const char *bytes;
} rows[] = {
	ROW(HTTP, "HTTP/1."), ROW(WEBSOCKET, "HTTP/1."),
	/* Settings; an error of a server without HTTP/2. */
	ROW(HTTP2, "\0..\4"), ROW(HTTP2, "HTTP/1."), ROW(GRPC, "\0..\4"), ROW(GRPC, "HTTP/1."),
	ROW(ETCD, "\0..\4"), ROW(ETCD, "HTTP/1."),
	/* A handshake, an alert, SSL 2's hello. */
	ROW(TLS, "\x16\3"), ROW(TLS, "\x15\3"), ROW(TLS, "^.\4"), ROW(DOT, "\x16\3"), ROW(DOT, "\x15\3"),
	ROW(SSH, "SSH-"), ROW(VNC, "RFB 00"), ROW(RTSP, "RTSP/"),
	/* Both sides may ask. */
	ROW(SIP, "SIP/2."), ROW(SIP, "INVITE "), ROW(SIP, "OPTIONS "), ROW(SIP, "NOTIFY "), ROW(SIP, "\r\n"),
	/* POP3 says more than +OK, and IMAP a space behind the star. */
	ROW(REDIS, "-"), ROW(REDIS, ":"), ROW(REDIS, "$#"), ROW(REDIS, "*#"), ROW(REDIS, "%#"), ROW(REDIS, "~#"),
	ROW(REDIS, ">#"), ROW(REDIS, ",#"), ROW(REDIS, "_\r"), ROW(REDIS, "+OK\r"), ROW(REDIS, "+PONG"),
	ROW(REDIS, "+QUEUED"), ROW(REDIS, "+RESET"), ROW(REDIS, "+FULLRESYNC"), ROW(REDIS, "+CONTINUE"),
	ROW(MEMCACHED, "\x81"), ROW(MEMCACHED, "STORED"), ROW(MEMCACHED, "NOT_"), ROW(MEMCACHED, "EXISTS"),
	ROW(MEMCACHED, "ERROR"), ROW(MEMCACHED, "CLIENT_"), ROW(MEMCACHED, "SERVER_"), ROW(MEMCACHED, "STAT "),
	ROW(MEMCACHED, "VERSION "), ROW(MEMCACHED, "VALUE "), ROW(MEMCACHED, "END\r"), ROW(MEMCACHED, "OK\r"),
	ROW(MEMCACHED, "DELETED"), ROW(MEMCACHED, "TOUCHED"), ROW(MEMCACHED, "RESET"), ROW(MEMCACHED, "HD"),
	ROW(MEMCACHED, "VA "), ROW(MEMCACHED, "EN\r"), ROW(MEMCACHED, "NS"), ROW(MEMCACHED, "MN\r"), ROW(MEMCACHED, "ME "),
	/* To a request for encryption one letter, then messages with a length. */
	ROW(POSTGRESQL, "S"), ROW(POSTGRESQL, "N"), ROW(POSTGRESQL, "G"), ROW(POSTGRESQL, "R\0"), ROW(POSTGRESQL, "E\0"),
	ROW(POSTGRESQL, "v\0"),
	ROW(TDS, "\4"), ROW(TNS, "..\0\0\2"), ROW(TNS, "..\0\0\4"), ROW(TNS, "..\0\0\5"), ROW(TNS, "..\0\0\13"),
	ROW(MONGODB, "...\0........\1\0\0\0"), ROW(MONGODB, "...\0........\334\7\0\0"),
	ROW(MONGODB, "...\0........\335\7\0\0"),
	ROW(CASSANDRA, "^\0"), ROW(COUCHBASE, "\x81"), ROW(KAFKA, "\0"), ROW(SPARK, "\0\0\0"),
	ROW(ZOOKEEPER, "\0\0\0"), ROW(ZOOKEEPER, "imok"), ROW(ZOOKEEPER, "Zookeeper "), ROW(ZOOKEEPER, "zk_"),
	ROW(ZOOKEEPER, "ruok is "), ROW(ZOOKEEPER, "srvr is "), ROW(ZOOKEEPER, "mntr is "),
	ROW(AMQP, "AMQP"), ROW(AMQP, "\1\0\0"), ROW(MQTT, "\x20"), ROW(MQTT, "\xf0"),
	ROW(DNS, "....^"), ROW(NFS, "^.......\0\0\0\1"), ROW(LDAP, "0"), ROW(SNMP, "0"),
	/* Answers of two kinds, and an error. */
	ROW(KERBEROS, "\0...\x6b"), ROW(KERBEROS, "\0...\x6d"), ROW(KERBEROS, "\0...\x7e"),
	ROW(SMB, "\x82\0\0\0"), ROW(SMB, "\x83\0\0\1"), ROW(SMB, "\x84\0\0\6"), ROW(SMB, "\0...\xffSMB"),
	ROW(SMB, "\0...\xfeSMB"),
	ROW(RDP, "\3\0"), ROW(BITTORRENT, "\x13" "BitTorrent"), ROW(SYSLOG, ""),
};

static int is_alike(char row, __u8 byte)
{
	switch (row) {
	case ANY:
		return 1;
	case DIGIT:
		return (byte >= '0' && byte <= '9') || byte == '-';
	case HIGH:
		return byte >= 0x80;
	default:
		return byte == (__u8)row;
	}
}

static enum sg_match begins(const char *row, __u32 size, const __u8 *at, __u32 len)
{
	if (!size && len)
		return SG_MATCH_NO;
	for (__u32 i = 0; i < size && i < len; i++) {
		if (!is_alike(row[i], at[i]))
			return SG_MATCH_NO;
	}
	return size && len >= size ? SG_MATCH_CERTAIN : SG_MATCH_MORE;
}

enum sg_match sg_answer_fits(__u8 app, const __u8 *at, __u32 len)
{
	enum sg_match best = SG_MATCH_NO;
	int has_rows = 0;

	for (__u32 i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		enum sg_match match;

		if (rows[i].app != app)
			continue;
		has_rows = 1;
		match = begins(rows[i].bytes, rows[i].len, at, len);
		best = match > best ? match : best;
	}
	return has_rows ? best : SG_MATCH_CERTAIN;
}
