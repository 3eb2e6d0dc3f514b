/* Small files in the cache directory that may vanish or be damaged at any time.
 *
 *     bytes 0..7    "PDCACHE2"
 *     bytes 8..15   XXH3-64 of the content, seeded with that of the file's name, in the machine's
 *                   byte order
 *     bytes 16..    the content
 *
 * The checksum matters: drivers have crashed on damaged pipeline caches and SPIR-V, and another
 * shader's SPIR-V under this one's name computes something else. Nothing here fails or waits (what
 * is not a regular file counts as damaged); without a usable cache everything is made anew.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_VULKAN_CACHE_H
#define PD_VULKAN_CACHE_H

#include <stdbool.h>
#include <stddef.h>

/* Tells the log when there is no folder that anything could be kept in. */
void pd_vk_cache_note(void);
/* The intact content (pd_free), else false. */
bool pd_vk_cache_load(const char *name, void **data, size_t *n);
void pd_vk_cache_store(const char *name, const void *data, size_t n);

#endif
