/* stb_image's implementation, for the formats wanted, without stdio, with all its names static.
 *
 * Its allocations go through hooks that refuse blocks far beyond what the image's size accounts
 * for. Memory is zeroed, since stb_image reads tables that a damaged JPEG never defined. The hooks
 * have no context argument; hence the thread-local bound. The file is compiled with -fwrapv:
 * overflows in the arithmetic on damaged coefficients are then defined.
 *
 * SPDX-License-Identifier: MIT
 */
#include "image/stb.h"

#include <limits.h>
#include <string.h>

#include "base/memory.h"

static _Thread_local uint64_t block_max_bytes;
static _Thread_local bool memory_ran_out, bound_was_hit;

static void *hook_alloc(size_t bytes) {
    if (bytes > block_max_bytes) {
        bound_was_hit = true;
        return NULL;
    }
    void *p = pd_alloc(1, bytes);
    if (!p) memory_ran_out = true;
    return p;
}

#define STBI_MALLOC(bytes)                        hook_alloc(bytes)
#define STBI_REALLOC_SIZED(old, old_bytes, bytes) NULL /* for formats that are not wanted */
#define STBI_FREE(p)                              pd_free(p)
#define STBI_ASSERT(x)                            ((void)0) /* never stop the process for a file */
#define STBI_NO_STDIO
#define STBI_ONLY_JPEG
#define STBI_ONLY_TGA
#define STBI_NO_LINEAR
#define STBI_NO_HDR
/* pd_image_decode has checked the sizes, and that they and the bytes fit an int. */
#define STBI_MAX_DIMENSIONS INT_MAX
#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
/* Of its warnings: one function is declared but not there, and gcc does not see that the fields of
 * a stream are not read for memory. */
#pragma GCC diagnostic ignored "-Wunused-function"
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <stb_image.h>

/* 16 bytes a pixel: up to 8 for JPEG's coefficients, and as much again; twice the file; and what
 * blocks at the edges and tables need. */
static uint64_t bound_of(const pd_picture *p) {
    return 16 * ((uint64_t)p->width * p->height) + 2 * (uint64_t)p->n + (64u << 20);
}

pd_status pd_stb_decode(const pd_picture *p, pd_image *out, pd_error *err) {
    block_max_bytes = bound_of(p);
    memory_ran_out = bound_was_hit = false;
    int width, height, channels;
    uint8_t *rgb = stbi_load_from_memory(p->bytes, (int)p->n, &width, &height, &channels, 3);
    if (rgb && (uint32_t)width == p->width && (uint32_t)height == p->height) {
        *out = (pd_image){p->width, p->height, rgb};
        return PD_OK;
    }
    const char *why = bound_was_hit ? "it unpacks to far more than its size accounts for"
                      : rgb         ? "its size is not the one its header gives"
                                    : stbi_failure_reason();
    pd_free(rgb);
    if (memory_ran_out)
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for an image of %u x %u pixels",
                        p->width, p->height);
    if (strcmp(why, "too large") == 0)
        return PD_RAISE(err, PD_ERR_UNSUPPORTED, "the %s image of %u x %u pixels is too large",
                        p->format->name, p->width, p->height);
    return PD_RAISE(err, PD_ERR_FORMAT, "the %s image is damaged: %s", p->format->name, why);
}
