/* Packing of stored rows (packed.h). Layouts of the stored blocks: file/quant_32.c, quant_k.c.
 *
 * Bytes are handled four at a time, in 32-bit words.
 *
 * SPDX-License-Identifier: MIT
 */
#include "backend/cpu/packed.h"

#include <string.h>

#include "base/memory.h"

enum {
    MAX_WORDS = 8 /* of one row in a block */
};

/* What a row has in one block, a word of each unit. */
typedef uint32_t block_words[MAX_WORDS];

bool pd_cpu_packing_of(pd_type type, pd_cpu_packing *out) {
    switch (type) {
    case PD_TYPE_Q4_0: *out = (pd_cpu_packing){4, PD_CPU_SCALES_D, 8}; return true;
    case PD_TYPE_Q4_1: *out = (pd_cpu_packing){4, PD_CPU_SCALES_DM, 0}; return true;
    case PD_TYPE_Q4_K: *out = (pd_cpu_packing){4, PD_CPU_SCALES_K, 0}; return true;
    case PD_TYPE_Q5_0: *out = (pd_cpu_packing){5, PD_CPU_SCALES_D, 16}; return true;
    case PD_TYPE_Q5_1: *out = (pd_cpu_packing){5, PD_CPU_SCALES_DM, 0}; return true;
    case PD_TYPE_Q5_K: *out = (pd_cpu_packing){5, PD_CPU_SCALES_K, 0}; return true;
    case PD_TYPE_Q6_K: *out = (pd_cpu_packing){6, PD_CPU_SCALES_K16, 0}; return true;
    case PD_TYPE_Q8_0: *out = (pd_cpu_packing){8, PD_CPU_SCALES_D, 0}; return true;
    case PD_TYPE_F32:
    case PD_TYPE_F16:
    case PD_TYPE_BF16: break;
    }
    return false;
}

static uint64_t scales_bytes(const pd_cpu_packing *p, uint32_t k) {
    switch (p->scales) {
    case PD_CPU_SCALES_D: return k / 32 * 32ull;
    case PD_CPU_SCALES_DM: return k / 32 * 64ull;
    case PD_CPU_SCALES_K: return k / 256 * (uint64_t)PD_CPU_K_BYTES;
    case PD_CPU_SCALES_K16: return k / 256 * (uint64_t)PD_CPU_K16_BYTES;
    }
    return 0;
}

uint64_t pd_cpu_quants_at(const pd_cpu_packing *p, uint32_t k) {
    return pd_round_up(scales_bytes(p, k), PD_CPU_UNIT_BYTES);
}

uint64_t pd_cpu_group_bytes(const pd_cpu_packing *p, uint32_t k) {
    return pd_cpu_quants_at(p, k) + (uint64_t)(k / PD_CPU_BLOCK) * pd_cpu_block_bytes(p);
}

/* ---- words of bytes ------------------------------------------------------------------------- */

static uint32_t word_at(const uint8_t *p) {
    uint32_t w;
    memcpy(&w, p, sizeof w);
    return w;
}

static uint32_t low_nibbles(uint32_t w) {
    return w & 0x0f0f0f0f;
}
static uint32_t high_nibbles(uint32_t w) {
    return w >> 4 & 0x0f0f0f0f;
}

/* ---- quants --------------------------------------------------------------------------------- */

/* Nibbles of 32 columns that lie in two words of bytes, columns c and 16 + c: to one. */
static uint32_t join_nibbles(uint32_t low, uint32_t high) {
    return low | high << 4;
}

/* The bits above the nibbles: n_bits (1 or 2) of each of the 32 columns. */
static void pack_high(const uint8_t *high, uint32_t n_bits, uint32_t *out) {
    out[0] = out[n_bits - 1] = 0;
    for (uint32_t c = 0; c < PD_CPU_BLOCK; c++) {
        uint32_t q = c / 16, u = c % 16 / 4, l = c % 4 / 2, j = c % 2;
        uint32_t at = (4 * u + 2 * j + q) * n_bits;
        out[at / 16] |= (uint32_t)high[c] << (16 * l + at % 16);
    }
}

static void words_q5(const uint8_t *qs, const uint8_t *fifth, block_words out) {
    uint32_t bits = word_at(fifth);
    uint8_t high[PD_CPU_BLOCK];
    memcpy(out, qs, 16);
    for (uint32_t c = 0; c < PD_CPU_BLOCK; c++) high[c] = bits >> c & 1;
    pack_high(high, 1, out + 4);
}

/* The nibbles of 32 columns that are the low or the high ones of 32 bytes. */
static void words_k(const uint8_t *qs, bool upper, block_words out) {
    for (uint32_t u = 0; u < 4; u++) {
        uint32_t a = word_at(qs + 4 * u), b = word_at(qs + 16 + 4 * u);
        out[u] = upper ? join_nibbles(high_nibbles(a), high_nibbles(b))
                       : join_nibbles(low_nibbles(a), low_nibbles(b));
    }
}

/* Block g of the eight in a block of 256: two share their bytes, one has the low nibbles. */
static void words_q4_k(const uint8_t *block, uint32_t g, block_words out) {
    words_k(block + 16 + g / 2 * 32, g % 2, out);
}

static void words_q5_k(const uint8_t *block, uint32_t g, block_words out) {
    uint8_t high[PD_CPU_BLOCK];
    words_k(block + 48 + g / 2 * 32, g % 2, out);
    for (uint32_t c = 0; c < PD_CPU_BLOCK; c++) high[c] = block[16 + c] >> g & 1;
    pack_high(high, 1, out + 4);
}

static void words_q6_k(const uint8_t *block, uint32_t g, block_words out) {
    uint8_t high[PD_CPU_BLOCK];
    words_k(block + g / 4 * 64 + g % 2 * 32, g % 4 / 2, out);
    for (uint32_t c = 0; c < PD_CPU_BLOCK; c++)
        high[c] = block[128 + g / 4 * 32 + c] >> g % 4 * 2 & 3;
    pack_high(high, 2, out + 4);
}

static void words_q8_0(const uint8_t *quants, block_words out) {
    for (uint32_t i = 0; i < 8; i++) out[i % 4 * 2 + i / 4] = word_at(quants + 4 * i);
}

/* Columns [32 b, 32 b + 32) of a stored row. */
static void block_quants(pd_type type, const uint8_t *row, uint32_t b, block_words out) {
    switch (type) {
    case PD_TYPE_Q4_0: memcpy(out, row + b * 18 + 2, 16); break;
    case PD_TYPE_Q4_1: memcpy(out, row + b * 20 + 4, 16); break;
    case PD_TYPE_Q5_0: words_q5(row + b * 22 + 6, row + b * 22 + 2, out); break;
    case PD_TYPE_Q5_1: words_q5(row + b * 24 + 8, row + b * 24 + 4, out); break;
    case PD_TYPE_Q8_0: words_q8_0(row + b * 34 + 2, out); break;
    case PD_TYPE_Q4_K: words_q4_k(row + b / 8 * 144, b % 8, out); break;
    case PD_TYPE_Q5_K: words_q5_k(row + b / 8 * 176, b % 8, out); break;
    case PD_TYPE_Q6_K: words_q6_k(row + b / 8 * 210, b % 8, out); break;
    case PD_TYPE_F32:
    case PD_TYPE_F16:
    case PD_TYPE_BF16: break;
    }
}

/* ---- scales --------------------------------------------------------------------------------- */

/* A stored half to place r of sixteen. */
static void put_half(uint8_t *halves, uint32_t r, const uint8_t *stored) {
    memcpy(halves + 2 * r, stored, 2);
}

/* Of row r and block b of eight. */
static uint8_t *block_byte(uint8_t *bytes, uint32_t r, uint32_t b) {
    return bytes + b / 4 * 64 + r * 4 + b % 4;
}

/* Scales and minima of eight blocks, six bits each:
 *     bytes 0..3  bits 0-5 S0..S3, bits 6-7 upper bits of S4..S7
 *     bytes 4..7  bits 0-5 M0..M3, bits 6-7 upper bits of M4..M7
 *     bytes 8..11 low nibbles of S4..S7, and of M4..M7 above them */
static void pack_six_bits(const uint8_t *stored, uint32_t r, uint8_t *out) {
    for (uint32_t i = 0; i < 4; i++) {
        uint8_t s = stored[i], m = stored[4 + i], both = stored[8 + i];
        *block_byte(out, r, i) = s & 63;
        *block_byte(out + 128, r, i) = m & 63;
        *block_byte(out, r, 4 + i) = (uint8_t)((both & 15) | s >> 6 << 4);
        *block_byte(out + 128, r, 4 + i) = (uint8_t)(both >> 4 | m >> 6 << 4);
    }
}

/* Of row r of the group. */
static void pack_scales(pd_type type, pd_cpu_scales kind, const uint8_t *row, uint32_t k,
                        uint32_t r, uint8_t *out) {
    uint32_t stride = pd_type_get(type)->block_bytes, n = k / pd_type_get(type)->block_values;
    for (uint32_t i = 0; i < n; i++, row += stride) {
        switch (kind) {
        case PD_CPU_SCALES_D: put_half(out + 32 * i, r, row); break;
        case PD_CPU_SCALES_DM:
            put_half(out + 64 * i, r, row);
            put_half(out + 64 * i + 32, r, row + 2);
            break;
        case PD_CPU_SCALES_K:
            put_half(out + PD_CPU_K_BYTES * i, r, row);
            put_half(out + PD_CPU_K_BYTES * i + 32, r, row + 2);
            pack_six_bits(row + 4, r, out + PD_CPU_K_BYTES * i + 64);
            break;
        case PD_CPU_SCALES_K16:
            put_half(out + PD_CPU_K16_BYTES * i, r, row + 208);
            for (uint32_t j = 0; j < 16; j++)
                *block_byte(out + PD_CPU_K16_BYTES * i + 32 + j % 2 * 128, r, j / 2) = row[192 + j];
            break;
        }
    }
}

void pd_cpu_pack_group(pd_type type, const uint8_t *rows, uint64_t row_bytes, uint32_t n_rows,
                       uint32_t k, uint8_t *group) {
    pd_cpu_packing packing;
    if (!pd_cpu_packing_of(type, &packing)) return;
    uint8_t *quants = group + pd_cpu_quants_at(&packing, k);
    if (n_rows < PD_CPU_GROUP_ROWS) memset(group, 0, pd_cpu_group_bytes(&packing, k));
    for (uint32_t r = 0; r < n_rows; r++) {
        const uint8_t *row = rows + r * row_bytes;
        pack_scales(type, packing.scales, row, k, r, group);
        for (uint32_t b = 0; b < k / PD_CPU_BLOCK; b++) {
            block_words words = {0};
            block_quants(type, row, b, words);
            uint8_t *to = quants + (uint64_t)b * pd_cpu_block_bytes(&packing) + 4 * r;
            for (uint32_t u = 0; u < packing.bits; u++)
                memcpy(to + u * PD_CPU_UNIT_BYTES, &words[u], 4);
        }
    }
}
