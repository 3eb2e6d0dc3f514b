/* Small files with which Linux tells about its devices.  SPDX-License-Identifier: MIT */
#ifndef PD_MEASURE_SYSFS_H
#define PD_MEASURE_SYSFS_H

#include <stdbool.h>
#include <stdint.h>

enum { PD_SYSFS_PATH = 256, PD_SYSFS_MOST = 64 /* numbers of a kind that are tried */ };

/* The first line, without its end; false: there is no such file. */
bool pd_sysfs_line(const char *path, char *out, int size);
bool pd_sysfs_number(const char *path, double *out);

/* The number of the only hwmon folder below sys whose name is one of those, which end with NULL;
 * -1: there is none, or there are several, and nothing says which is which. */
int pd_sysfs_hwmon(const char *sys, const char *const *names);
extern const char *const pd_sysfs_cards[]; /* drivers of graphics cards */

#endif
