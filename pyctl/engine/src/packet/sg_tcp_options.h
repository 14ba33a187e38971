/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Reads the options of a TCP header as Linux does: of two of a kind the last counts, and none after one that does not
 * fit. Pure. */
#ifndef SG_TCP_OPTIONS_H
#define SG_TCP_OPTIONS_H

#include "api/sg_core.h"

/* Return whether a TCP header of which `len` bytes are there, 20 or more, has a timestamp; *value is its TSval. */
int sg_tcp_timestamp(const __u8 *tcp, __u32 len, __u32 *value);
/* The same; *echo is its TSecr, which means something with an ACK. */
int sg_tcp_echo(const __u8 *tcp, __u32 len, __u32 *echo);
/* The same; *mss is the longest segment that the sender takes, which means something with a SYN. */
int sg_tcp_mss(const __u8 *tcp, __u32 len, __u16 *mss);

#endif
