/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Recognises what desktops share: files and screens. */
#ifndef SG_APPS_DESK_H
#define SG_APPS_DESK_H

#include "prefix/sg_prefix.h"

enum sg_match sg_app_smb(const struct sg_prefix *prefix);
enum sg_match sg_app_rdp(const struct sg_prefix *prefix);
enum sg_match sg_app_vnc(const struct sg_prefix *prefix);
enum sg_match sg_app_bittorrent(const struct sg_prefix *prefix);

#endif
