/* The matrix unit of AMX: eight tile registers of 1 KiB (matrix.h).
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE /* syscall */
#include "backend/cpu/matrix.h"

#ifdef __x86_64__

#include <cpuid.h>
#include <immintrin.h>

#include "backend/cpu/target.h"
#include "base/cores.h"

TARGET_BEGIN("amx-tile,amx-bf16,avx512bf16,avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")

#define VB     64
#define PLANES 0
enum {
    PARTS = 1,
    LANES = 16,
    STEPS = 2,
    HAS_SIGNS = 1,
    PANEL_UNITS = 16,
    PANEL_UNIT_BYTES = PD_CPU_UNIT_BYTES
};

#include "backend/cpu/integer_types.h"

INLINE vf load_halves(const uint8_t *p) {
    return (vf)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
}

#include "backend/cpu/integer_scales.h"
#include "backend/cpu/integer_weights.h"

/* ---- parts ---------------------------------------------------------------------------------- */

INLINE vi round_both(vf high_lanes, vf low_lanes) {
    return (vi)_mm512_cvtne2ps_pbh((__m512)high_lanes, (__m512)low_lanes);
}
INLINE vi permute_words(__m512i order, vi v) {
    return (vi)_mm512_permutexvar_epi16(order, (__m512i)v);
}

/* Words 0..15 and 16..31 of v in turns: the halves of pairs to pairs. */
INLINE __m512i interleaving(void) {
    vw order;
    UNROLL for (int i = 0; i < 32; i++) order[i] = (uint16_t)(i / 2 + i % 2 * 16);
    return (__m512i)order;
}

/* Pairs of first and second to tiles of `parts` parts, one row of each. */
INLINE void store_pairs(vf first, vf second, uint32_t parts, __m512i order, uint16_t *tiles) {
    vi high = permute_words(order, round_both(second, first));
    memcpy(tiles, &high, sizeof high);
    if (parts == 1) return;
    first -= (vf)(high << 16);
    second -= (vf)(high & -0x10000);
    vi low = permute_words(order, round_both(second, first));
    memcpy(tiles + PD_CPU_TILE_VALUES, &low, sizeof low);
}

/* ---- activations ---------------------------------------------------------------------------- */

/* Where the columns of a block lie, counted in the order of pairs. */
INLINE __m512i pair_order(void) {
    vw order;
    UNROLL for (int i = 0; i < 32; i++) {
        int pair = i / 2, u = pair / 4, q = pair / 2 % 2, j = pair % 2;
        order[i] = (uint16_t)(16 * q + 4 * u + j + i % 2 * 2);
    }
    return (__m512i)order;
}

INLINE vf widen(__m256i v) {
    return (vf)_mm512_slli_epi32(_mm512_cvtepu16_epi32(v), 16);
}

/* One row of a block: n of its 32 columns, the others are zeros. */
INLINE void arrange_row(const float *x, uint32_t n, uint32_t parts, __m512i order, uint16_t *tile) {
    vf v[2] = {0};
    if (n >= PD_CPU_BLOCK)
        memcpy(v, x, sizeof v);
    else
        memcpy(v, x, n * sizeof *x);
    __m512i high = (__m512i)round_both(v[1], v[0]);
    _mm512_storeu_si512(tile, _mm512_permutexvar_epi16(order, high));
    if (parts == 1) return;
    v[0] -= widen(_mm512_castsi512_si256(high));
    v[1] -= widen(_mm512_extracti64x4_epi64(high, 1));
    vi low = permute_words(order, round_both(v[1], v[0]));
    memcpy(tile + PD_CPU_TILE_VALUES, &low, sizeof low);
}

static void amx_arrange(const float *x, size_t ldx, uint32_t n_rows, uint32_t k, uint32_t parts,
                        uint16_t *tiles) {
    const __m512i order = pair_order();
    for (uint32_t c = 0; c < k; c += PD_CPU_BLOCK, tiles += parts * PD_CPU_TILE_VALUES) {
        for (uint32_t r = 0; r < n_rows; r++)
            arrange_row(x + r * ldx + c, k - c, parts, order, tiles + r * PD_CPU_BLOCK);
        for (uint32_t p = 0; p < parts && n_rows < PD_CPU_TILE_ROWS; p++) {
            memset(tiles + p * PD_CPU_TILE_VALUES + n_rows * PD_CPU_BLOCK, 0,
                   (PD_CPU_TILE_ROWS - n_rows) * PD_CPU_BLOCK * sizeof *tiles);
        }
    }
}

/* ---- weights -------------------------------------------------------------------------------- */

/* 16 rows of 16 words of 32 bits: rows that differ in one bit of their number exchange the words
 * that differ in that bit, bit after bit. */
static void transpose_tile(uint16_t *tile) {
    vi row[16], number;
    UNROLL for (int i = 0; i < 16; i++) number[i] = i;
    memcpy(row, tile, sizeof row);
    UNROLL for (int bit = 1; bit < 16; bit *= 2) {
        const vi second = (number & bit) != 0; /* in permutex2var 16 is the second operand's 0 */
        const __m512i low = (__m512i)((number & ~bit) | (second & 16));
        const __m512i high = (__m512i)((vi)low | bit);
        UNROLL for (int i = 0; i < 16; i++) {
            if (i & bit) continue;
            __m512i a = (__m512i)row[i], b = (__m512i)row[i | bit];
            row[i] = (vi)_mm512_permutex2var_epi32(a, low, b);
            row[i | bit] = (vi)_mm512_permutex2var_epi32(a, high, b);
        }
    }
    memcpy(tile, row, sizeof row);
}

static void amx_transpose(uint16_t *tiles, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) transpose_tile(tiles + i * PD_CPU_TILE_VALUES);
}

/* 16 columns of row r from `at` on, or zeros. */
INLINE vf halves_of(const uint16_t *at, size_t ldr, uint32_t r, uint32_t begin, uint32_t end) {
    return r >= begin && r < end ? load_halves((const uint8_t *)(at + r * ldr)) : (vf){0};
}

static void amx_pair_rows(const uint16_t *rows, size_t ldr, uint32_t n_rows, uint32_t begin,
                          uint32_t end, uint32_t width, uint16_t *tiles, uint32_t all_blocks) {
    const __m512i order = interleaving();
    if (end > n_rows) end = n_rows;
    for (uint32_t c = 0; c < width; c += 16) {
        uint16_t *tile = tiles + (size_t)(c / 16 * all_blocks) * 2 * PD_CPU_TILE_VALUES;
        for (uint32_t b = 0; b < n_rows; b += PD_CPU_BLOCK, tile += 2 * PD_CPU_TILE_VALUES) {
            for (uint32_t pair = 0; pair < 16; pair++) {
                uint32_t r = b + 16 * (pair / 2 % 2) + pair / 4 * 4 + pair % 2;
                store_pairs(halves_of(rows + c, ldr, r, begin, end),
                            halves_of(rows + c, ldr, r + 2, begin, end), 2, order,
                            tile + pair * PD_CPU_BLOCK);
            }
        }
    }
}

enum {
    BIAS = 192,         /* bfloat16s from 128 to 255 are integers, and count by ones */
    BIAS_BITS = 0x4340, /* 192 as a bfloat16 */
    AHEAD_BYTES = 4096  /* the processor's own prefetcher stops at each page */
};

/* The quants of a pair of columns as floats, those of at most 6 bits with BIAS too much. */
INLINE void quants_of(weight_source source, vs pairs, vf *first, vf *second) {
    if (source == BYTES) {
        *first = __builtin_convertvector((vi)pairs << 16 >> 16, vf);
        *second = __builtin_convertvector((vi)pairs >> 16, vf);
    } else {
        vi biased = (vi)(pairs + (int16_t)BIAS_BITS);
        *first = (vf)(biased << 16);
        *second = (vf)(biased & -0x10000);
    }
}

/* n blocks: a row of a tile is one pair of columns of all 16 rows. */
INLINE void unpack_blocks(weight_source source, bool split, uint32_t parts, const uint8_t *w,
                          const float *d, const float *m, uint32_t n, uint16_t *tiles) {
    const __m512i order = interleaving();
    const float bias = source == BYTES ? 0 : BIAS;
    for (uint32_t b = 0; b < n; b++) {
        UNROLL for (size_t i = 0; i < source_block_bytes(source); i += 64)
            __builtin_prefetch(w + AHEAD_BYTES + i);
        for (int u = 0; u < 4; u++) {
            UNROLL for (int q = 0; q < 2; q++) {
                vf scale = LOAD_AS(vf, d + (split ? 16 * q : 0));
                vf minimum = LOAD_AS(vf, m + (split ? 16 * q : 0)) - bias * scale;
                UNROLL for (int j = 0; j < 2; j++) {
                    vf first, second;
                    quants_of(source, weights_at(source, w, u, q, j, 0), &first, &second);
                    store_pairs(first * scale + minimum, second * scale + minimum, parts, order,
                                tiles + (4 * u + 2 * q + j) * PD_CPU_BLOCK);
                }
            }
        }
        w += source_block_bytes(source);
        d += split ? 32 : 16;
        m += split ? 32 : 16;
        tiles += parts * PD_CPU_TILE_VALUES;
    }
}

INLINE void unpack_source(weight_source source, uint32_t parts, const uint8_t *w, const float *d,
                          const float *m, uint32_t n, uint16_t *tiles) {
    if (parts == 1)
        unpack_blocks(source, source == SIXES, 1, w, d, m, n, tiles);
    else
        unpack_blocks(source, source == SIXES, 2, w, d, m, n, tiles);
}

static void amx_unpack(pd_type type, const uint8_t *group, uint32_t k, uint32_t first_block,
                       uint32_t n, uint32_t parts, float *scales, uint16_t *tiles) {
    pd_cpu_packing p;
    if (!pd_cpu_packing_of(type, &p)) return;
    float *d = scales, *m = scales + 2 * PD_CPU_GROUP_ROWS * n;
    expand_scales(&p, p.offset, group, first_block, n, PD_CPU_GROUP_ROWS, d, m);
    const uint8_t *w = group + pd_cpu_quants_at(&p, k) + first_block * pd_cpu_block_bytes(&p);
    switch (p.bits) {
    case 4: unpack_source(NIBBLES, parts, w, d, m, n, tiles); break;
    case 5: unpack_source(FIVES, parts, w, d, m, n, tiles); break;
    case 6: unpack_source(SIXES, parts, w, d, m, n, tiles); break;
    case 8: unpack_source(BYTES, parts, w, d, m, n, tiles); break;
    }
}

/* ---- products ------------------------------------------------------------------------------- */

/* Registers are named by literals: 0..3 sums [activation rows, weight rows], 4 and 5 weights, 6 and
 * 7 activations. */
#define MULTIPLY_ROWS_0                                                                            \
    _tile_dpbf16ps(0, 6, 4);                                                                       \
    if (n_w > 1) _tile_dpbf16ps(1, 6, 5)
#define MULTIPLY_ROWS_1                                                                            \
    if (n_x > 1) _tile_dpbf16ps(2, 7, 4);                                                          \
    if (n_x > 1 && n_w > 1) _tile_dpbf16ps(3, 7, 5)

#define LOAD_W(part)                                                                               \
    _tile_loadd(4, w0 + (part)*PD_CPU_TILE_VALUES, 64);                                            \
    if (n_w > 1) _tile_loadd(5, w1 + (part)*PD_CPU_TILE_VALUES, 64)

#define LOAD_AND_MULTIPLY_X(part)                                                                  \
    _tile_loadd(6, x0 + (part)*PD_CPU_TILE_VALUES, 64);                                            \
    MULTIPLY_ROWS_0;                                                                               \
    if (n_x > 1) _tile_loadd(7, x1 + (part)*PD_CPU_TILE_VALUES, 64);                               \
    MULTIPLY_ROWS_1

/* Small products first: low * high, high * high, high * low, so that the weights' high parts and
 * the activations' are each loaded once. */
INLINE void multiply_blocks(int n_x, int n_w, uint32_t x_parts, uint32_t w_parts,
                            const pd_cpu_matrix_block *b) {
    const uint16_t *x0 = b->x[0], *x1 = b->x[1], *w0 = b->w[0], *w1 = b->w[1];
    for (uint32_t i = 0; i < b->n_blocks; i++) {
        LOAD_W(0);
        if (x_parts > 1) {
            LOAD_AND_MULTIPLY_X(1);
        }
        LOAD_AND_MULTIPLY_X(0);
        if (w_parts > 1) {
            LOAD_W(1);
            MULTIPLY_ROWS_0;
            MULTIPLY_ROWS_1;
        }
        x0 += x_parts * PD_CPU_TILE_VALUES;
        w0 += w_parts * PD_CPU_TILE_VALUES;
        if (n_x > 1) x1 += x_parts * PD_CPU_TILE_VALUES;
        if (n_w > 1) w1 += w_parts * PD_CPU_TILE_VALUES;
    }
}

INLINE void multiply_parts(int n_x, int n_w, const pd_cpu_matrix_block *b) {
    if (b->x_parts == 1)
        multiply_blocks(n_x, n_w, 1, 1, b);
    else if (b->w_parts == 1)
        multiply_blocks(n_x, n_w, 2, 1, b);
    else
        multiply_blocks(n_x, n_w, 2, 2, b);
}

/* The sums' registers from out, or zeros; and back. */
INLINE void begin_sums(int n_x, int n_w, const pd_cpu_matrix_block *b) {
    float *second = b->out + PD_CPU_TILE_ROWS * b->ldo;
    size_t stride = b->ldo * sizeof *b->out;
    if (!b->add) {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
        return;
    }
    _tile_loadd(0, b->out, stride);
    if (n_w > 1) _tile_loadd(1, b->out + PD_CPU_TILE_ROWS, stride);
    if (n_x > 1) _tile_loadd(2, second, stride);
    if (n_x > 1 && n_w > 1) _tile_loadd(3, second + PD_CPU_TILE_ROWS, stride);
}

INLINE void end_sums(int n_x, int n_w, const pd_cpu_matrix_block *b) {
    float *second = b->out + PD_CPU_TILE_ROWS * b->ldo;
    size_t stride = b->ldo * sizeof *b->out;
    _tile_stored(0, b->out, stride);
    if (n_w > 1) _tile_stored(1, b->out + PD_CPU_TILE_ROWS, stride);
    if (n_x > 1) _tile_stored(2, second, stride);
    if (n_x > 1 && n_w > 1) _tile_stored(3, second + PD_CPU_TILE_ROWS, stride);
}

INLINE void multiply(int n_x, int n_w, const pd_cpu_matrix_block *b) {
    begin_sums(n_x, n_w, b);
    multiply_parts(n_x, n_w, b);
    end_sums(n_x, n_w, b);
}

static void amx_multiply(const pd_cpu_matrix_block *b) {
    __asm__ volatile("" ::"r"(b) : "memory"); /* GCC's tile loads do not say that they read */
    if (b->x[1] && b->w[1])
        multiply(2, 2, b);
    else if (b->x[1])
        multiply(2, 1, b);
    else if (b->w[1])
        multiply(1, 2, b);
    else
        multiply(1, 1, b);
}

/* Eight tiles of 16 rows of 64 bytes. Not on the stack: GCC takes the instruction to read eight of
 * these bytes, and leaves out storing the others. */
static const struct tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} config = {.palette = 1,
            .row_bytes = {64, 64, 64, 64, 64, 64, 64, 64},
            .rows = {16, 16, 16, 16, 16, 16, 16, 16}};

static void amx_begin(pd_cpu_matrix_state *before) {
    _tile_storeconfig(before);
    _tile_loadconfig(&config);
}

static void amx_end(const pd_cpu_matrix_state *before) {
    if (before->bytes[0]) /* the palette; 0: tiles were not in use */
        _tile_loadconfig(before);
    else
        _tile_release();
}

enum { BURN_FLOPS = 4 * 2 * PD_CPU_TILE_ROWS * PD_CPU_TILE_VALUES };

static float amx_burn(uint32_t n) {
    float sums[16][16];
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    _tile_zero(4);
    _tile_zero(5);
    _tile_zero(6);
    _tile_zero(7);
    for (uint32_t i = 0; i < n; i++) {
        _tile_dpbf16ps(0, 6, 4);
        _tile_dpbf16ps(1, 6, 5);
        _tile_dpbf16ps(2, 7, 4);
        _tile_dpbf16ps(3, 7, 5);
    }
    _tile_stored(0, sums, 64);
    return sums[0][0];
}

static const pd_cpu_matrix_kernels table = {.name = "amx",
                                            .begin = amx_begin,
                                            .end = amx_end,
                                            .arrange = amx_arrange,
                                            .transpose = amx_transpose,
                                            .pair_rows = amx_pair_rows,
                                            .unpack = amx_unpack,
                                            .multiply = amx_multiply,
                                            .burn = amx_burn,
                                            .burn_flops = BURN_FLOPS};

TARGET_END

const pd_cpu_matrix_kernels *pd_cpu_matrix_amx(void) {
    unsigned a, b, c, d;
    enum { AMX_BF16 = 1 << 22, AMX_TILE = 1 << 24 };
    bool there = __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & AMX_BF16) && (d & AMX_TILE) &&
                 __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                 __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bf16");
    return there && pd_allow_tiles() ? &table : NULL;
}

#endif
