/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The applications that the engine tells apart, and how sure it is of one. pyctl/model/apps.py has the names. */
#ifndef SG_APPS_H
#define SG_APPS_H

/* Numbers are stored with flows, and never change their meaning. A set of applications is a __u64 of bits 1 << number. */
enum sg_app {
	SG_APP_NONE = 0,	/* nobody looked, or it is not known yet */
	SG_APP_HTTP = 1,	/* HTTP/1 */
	SG_APP_HTTP2 = 2,
	SG_APP_GRPC = 3,
	SG_APP_WEBSOCKET = 4,
	SG_APP_TLS = 5,
	SG_APP_DOT = 6,		/* DNS over TLS, by its ALPN */
	SG_APP_QUIC = 7,
	SG_APP_DNS = 8,
	SG_APP_SSH = 9,
	SG_APP_SMTP = 10,
	SG_APP_FTP = 11,
	SG_APP_LDAP = 12,
	SG_APP_KERBEROS = 13,
	SG_APP_SMB = 14,
	SG_APP_RDP = 15,
	SG_APP_VNC = 16,
	SG_APP_NFS = 17,	/* ONC RPC, portmapper and mount included */
	SG_APP_POSTGRESQL = 18,
	SG_APP_MYSQL = 19,
	SG_APP_TDS = 20,
	SG_APP_TNS = 21,
	SG_APP_MONGODB = 22,
	SG_APP_REDIS = 23,
	SG_APP_MEMCACHED = 24,
	SG_APP_KAFKA = 25,
	SG_APP_CASSANDRA = 26,
	SG_APP_ELASTICSEARCH = 27,	/* by HTTP/1 */
	SG_APP_ZOOKEEPER = 28,
	SG_APP_ETCD = 29,
	SG_APP_AMQP = 30,
	SG_APP_MQTT = 31,
	SG_APP_NATS = 32,
	SG_APP_RTSP = 33,
	SG_APP_SIP = 34,
	SG_APP_DHCP = 35,
	SG_APP_NTP = 36,
	SG_APP_SNMP = 37,
	SG_APP_SYSLOG = 38,
	SG_APP_BITTORRENT = 39,
	SG_APP_TFTP = 40,
	SG_APP_SPARK = 41,
	SG_APP_COUCHBASE = 42,
	SG_APP_IMAP = 43,
	SG_APP_POP3 = 44,
	SG_APP_UNKNOWN = 63,	/* looked at, and none of them */
};

enum sg_app_limit { SG_APP_LAST = SG_APP_POP3 };	/* the highest number of those with a name */

enum sg_app_proof {
	SG_APP_UNPROVEN = 0,
	SG_APP_GUESS = 1,	/* one side's bytes look like it, and the other's may still contradict */
	SG_APP_CERTAIN = 2,	/* by evidence of both sides, or by one that nothing else has */
};

#endif
