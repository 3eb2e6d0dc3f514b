/* What test_qkv_attention.c runs: heads, windows, and which rows of which sequences each step has.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_TESTS_OPS_ATTENTION_SCENARIOS_H
#define PD_TESTS_OPS_ATTENTION_SCENARIOS_H

#include <stdint.h>

enum { MAX_STEPS = 8, MAX_SEGMENTS = 3 };

/* Rows of one sequence in a step: positions [start, start + n). Those in
 * [image, image + n_image) see to the end of that span. */
typedef struct segment {
    uint32_t seq, start, n, image, n_image;
} segment;

typedef struct scenario {
    const char *text;
    uint32_t n_heads, n_kv_heads, head_dim, window;
    uint32_t first_pos; /* nothing is stored before it; if not 0, only the local layer is there */
    uint32_t n_warm;    /* steps at the beginning whose results are not compared */
    segment steps[MAX_STEPS][MAX_SEGMENTS];
} scenario;

static const scenario scenarios[] = {
    {"decoding over a page border",
     4,
     1,
     64,
     8,
     0,
     0,
     {{{0, 0, 61, 0, 0}},
      {{0, 61, 1, 0, 0}},
      {{0, 62, 1, 0, 0}},
      {{0, 63, 1, 0, 0}},
      {{0, 64, 1, 0, 0}},
      {{0, 65, 2, 0, 0}},
      {{0, 67, 1, 0, 0}}}},
    {"one long step", 4, 4, 32, 16, 0, 0, {{{0, 0, 130, 0, 0}}}},
    {"steps that end at page borders",
     8,
     4,
     128,
     63,
     0,
     0,
     {{{0, 0, 64, 0, 0}}, {{0, 64, 65, 0, 0}}, {{0, 129, 1, 0, 0}}, {{0, 130, 9, 0, 0}}}},
    {"window of a page",
     6,
     2,
     256,
     64,
     0,
     0,
     {{{0, 0, 100, 0, 0}}, {{0, 100, 30, 0, 0}}, {{0, 130, 1, 0, 0}}}},
    {"window of a page and one",
     8,
     1,
     64,
     65,
     0,
     0,
     {{{0, 0, 63, 0, 0}},
      {{0, 63, 2, 0, 0}},
      {{0, 65, 63, 0, 0}},
      {{0, 128, 1, 0, 0}},
      {{0, 129, 3, 0, 0}}}},
    {"no window", 4, 1, 256, 0, 0, 0, {{{0, 0, 65, 0, 0}}, {{0, 65, 8, 0, 0}}, {{0, 73, 1, 0, 0}}}},
    {"three sequences",
     4,
     2,
     64,
     16,
     0,
     0,
     {{{0, 0, 30, 0, 0}, {1, 0, 70, 0, 0}, {2, 0, 5, 0, 0}},
      {{2, 5, 1, 0, 0}, {0, 30, 41, 0, 0}},
      {{1, 70, 1, 0, 0}, {2, 6, 1, 0, 0}, {0, 71, 1, 0, 0}},
      {{2, 7, 60, 0, 0}, {1, 71, 3, 0, 0}, {0, 72, 1, 0, 0}}}},
    {"two sequences, heads in threes",
     3,
     1,
     32,
     65,
     0,
     0,
     {{{1, 0, 64, 0, 0}, {0, 0, 1, 0, 0}}, {{0, 1, 2, 0, 0}, {1, 64, 3, 0, 0}}}},
    {"images",
     4,
     1,
     64,
     64,
     0,
     0,
     {{{0, 0, 50, 10, 32}}, {{0, 50, 40, 55, 30}}, {{0, 90, 1, 0, 0}}, {{0, 91, 20, 91, 20}}}},
    {"an image longer than the window, beside text",
     4,
     2,
     32,
     8,
     0,
     0,
     {{{0, 0, 70, 30, 40}, {1, 0, 20, 0, 0}}, {{1, 20, 50, 40, 30}, {0, 70, 1, 0, 0}}}},
    {"many pages",
     2,
     1,
     32,
     63,
     0,
     0,
     {{{0, 0, 300, 0, 0}}, {{0, 300, 400, 0, 0}}, {{0, 700, 1, 0, 0}}, {{0, 701, 3, 0, 0}}}},
    {"far positions",
     4,
     1,
     128,
     64,
     130880,
     1,
     {{{0, 130880, 130, 0, 0}}, {{0, 131010, 1, 0, 0}}, {{0, 131011, 9, 0, 0}}}},
};

/* All rows see all, as patches do; and in parts, of which the second sees the first. */
static const scenario image_scenarios[] = {
    {"9 patches", 2, 2, 36, 0, 0, 0, {{{0, 0, 9, 0, 9}}}},
    {"64 patches", 3, 3, 72, 0, 0, 0, {{{0, 0, 64, 0, 64}}}},
    {"65 patches", 2, 2, 72, 0, 0, 0, {{{0, 0, 65, 0, 65}}}},
    {"300 patches", 2, 2, 72, 0, 0, 0, {{{0, 0, 300, 0, 300}}}},
    {"300 patches", 3, 3, 36, 0, 0, 0, {{{0, 0, 300, 0, 300}}}},
    {"heads of 4", 3, 3, 4, 0, 0, 0, {{{0, 0, 65, 0, 65}}}},
    {"heads of 8", 5, 5, 8, 0, 0, 0, {{{0, 0, 9, 0, 9}}, {{0, 9, 60, 9, 60}}}},
    {"heads of 40", 1, 1, 40, 0, 0, 0, {{{0, 0, 64, 0, 64}}, {{0, 64, 1, 0, 0}}}},
    {"heads of 80", 2, 2, 80, 0, 0, 0, {{{0, 0, 65, 0, 65}}}},
    {"heads of 128", 2, 2, 128, 0, 0, 0, {{{0, 0, 100, 0, 100}}}},
    {"shared heads of 36", 4, 2, 36, 0, 0, 0, {{{0, 0, 70, 0, 70}}}},
};
/* What the released models have; in f32, and on the processor at f16: for the time it takes. */
static const scenario large_image = {"4096 patches", 1, 1, 72, 0, 0, 0, {{{0, 0, 4096, 0, 4096}}}};

#endif
