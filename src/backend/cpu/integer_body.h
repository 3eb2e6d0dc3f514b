/* Bodies of the integer kernels, included once per instruction set by a file that has defined
 *
 *     VB           bytes of a vector: 32 or 64
 *     FEW, MANY    activation rows at once, of a packed group and of a panel
 *     vi, vs, vw, vf   vectors of 32-bit and 16-bit integers, 16-bit words, floats
 *     dot16        vi plus the sums of products of neighbouring 16-bit integers in two vs
 *     load_halves  VB / 4 halves widened to vf
 *
 * A group's 16 rows are the 32-bit lanes of PARTS vectors. An activation's pair of columns is
 * broadcast to all lanes, so that one dot16 adds two columns' products for VB / 4 rows, and a row's
 * sum never leaves its lane: there is nothing to add up across lanes, and results are stored 16 at
 * a time.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_CPU_INTEGER_BODY_H
#define PD_CPU_INTEGER_BODY_H

#include <math.h>
#include <string.h>

enum {
    PARTS = 64 / VB,
    LANES = VB / 4,
    BLOCK_PAIRS = 16,
    PREFETCH_BYTES = 4096 /* the processor's own prefetcher stops at each page of 4 KiB */
};

/* Where a tile's weights come from. */
typedef enum weight_source { NIBBLES, FIVES, SIXES, BYTES, PAIRS } weight_source;

/* What a tile's weights have, constants wherever they are used. */
typedef struct weight_traits {
    weight_source source;
    bool split;   /* a scale for each half of a block (K16, which is SIXES or PAIRS) */
    bool minimum; /* m counts */
} weight_traits;

#define LOAD_AS(type, from)                                                                        \
    __extension__({                                                                                \
        type loaded_;                                                                              \
        memcpy(&loaded_, from, sizeof loaded_);                                                    \
        loaded_;                                                                                   \
    })

/* ---- weights in 16-bit lanes ---------------------------------------------------------------- */

/* Four bits of each lane. */
INLINE vs nibble_of(const uint8_t *unit, int i) {
    vw v = LOAD_AS(vw, unit);
    return (vs)(i == 0 ? v & 15 : i == 3 ? v >> 12 : v >> (4 * i) & 15);
}
/* The low or the high byte of each lane, signed. */
INLINE vs byte_of(const uint8_t *unit, int i) {
    vs v = LOAD_AS(vs, unit);
    return i ? v >> 8 : (vs)((vw)v << 8) >> 8;
}
/* Bits i of 1 or 2 each from those of unit u on, above four others. */
INLINE vs fifth_of(const uint8_t *unit, int u, int i) {
    vw v = LOAD_AS(vw, unit) >> (4 * u);
    return (vs)(v << (4 - i) & 0x10);
}
INLINE vs sixth_of(const uint8_t *units, int u, int i) {
    vw v = LOAD_AS(vw, units + u / 2 * 64) >> (u % 2 * 8);
    return (vs)((i < 2 ? v << (4 - 2 * i) : v >> (2 * i - 4)) & 0x30);
}

/* Pair 4u + 2q + j of the block at w, one part of the rows. */
INLINE vs weight_pair(weight_source source, const uint8_t *w, int u, int q, int j, int part) {
    const int i = 2 * j + q;
    w += part * VB;
    switch (source) {
    case NIBBLES: return nibble_of(w + u * 64, i);
    case FIVES: return nibble_of(w + u * 64, i) | fifth_of(w + 4 * 64, u, i);
    case SIXES: return (nibble_of(w + u * 64, i) | sixth_of(w + 4 * 64, u, i)) - 32;
    case BYTES: return byte_of(w + (2 * u + q) * 64, j);
    case PAIRS: break;
    }
    return LOAD_AS(vs, w + (4 * u + 2 * q + j) * 64);
}

INLINE size_t source_block_bytes(weight_source source) {
    static const size_t units[] = {4, 5, 6, 8, BLOCK_PAIRS};
    return units[source] * 64;
}

/* ---- a tile: 16 weight rows by M activation rows -------------------------------------------- */

typedef struct tile_sums {
    vf at[MANY][PARTS];
} tile_sums;

INLINE vs broadcast_pair(const int16_t *x) {
    return (vs)((vi){0} + LOAD_AS(int32_t, x));
}

/* The integer sums over columns 16q .. 16q + 15 of a block, for q from q0 to q1. */
INLINE void block_dot(weight_source source, int M, const uint8_t *w, const int16_t *x, size_t ldx,
                      int q0, int q1, vi acc[MANY][PARTS]) {
    UNROLL for (int i = 0; i < M; i++) {
        UNROLL for (int p = 0; p < PARTS; p++) acc[i][p] = (vi){0};
    }
    for (int u = 0; u < 4; u++) { /* not unrolled: the code is long enough */
        UNROLL for (int q = q0; q <= q1; q++) {
            UNROLL for (int j = 0; j < 2; j++) {
                vs wv[PARTS];
                UNROLL for (int p = 0; p < PARTS; p++) wv[p] = weight_pair(source, w, u, q, j, p);
                UNROLL for (int i = 0; i < M; i++) {
                    vs a = broadcast_pair(x + (size_t)i * ldx + 2 * (4 * u + 2 * q + j));
                    UNROLL for (int p = 0; p < PARTS; p++) acc[i][p] = dot16(acc[i][p], wv[p], a);
                }
            }
        }
    }
}

/* sum += acc * d * scale, and m * sum of the activations. */
INLINE void block_scale(weight_traits t, int M, vi acc[MANY][PARTS], const float *d, const float *m,
                        const pd_cpu_block_scale *scales, size_t lds, tile_sums *sums) {
    UNROLL for (int i = 0; i < M; i++) {
        const pd_cpu_block_scale *s = scales + (size_t)i * lds;
        UNROLL for (int p = 0; p < PARTS; p++) {
            vf f = __builtin_convertvector(acc[i][p], vf) * s->scale;
            sums->at[i][p] += f * LOAD_AS(vf, d + p * LANES);
            if (t.minimum && m) sums->at[i][p] += LOAD_AS(vf, m + p * LANES) * s->sum;
        }
    }
}

INLINE void prefetch_block(weight_source source, const uint8_t *w) {
    UNROLL for (size_t i = 0; i < source_block_bytes(source); i += 64) __builtin_prefetch(w + i);
}

/* n_blocks blocks from w, d, m, x and scales on. */
INLINE void tile(weight_traits t, int M, const uint8_t *w, const float *d, const float *m,
                 uint32_t n_blocks, const int16_t *x, size_t ldx, const pd_cpu_block_scale *scales,
                 size_t lds, float *out, size_t ldo, bool add) {
    tile_sums sums;
    vi acc[MANY][PARTS];
    UNROLL for (int i = 0; i < M; i++) {
        UNROLL for (int p = 0; p < PARTS; p++) {
            sums.at[i][p] = add ? LOAD_AS(vf, out + (size_t)i * ldo + p * LANES) : (vf){0};
        }
    }
    for (uint32_t b = 0; b < n_blocks; b++) {
        if (t.source != PAIRS) prefetch_block(t.source, w + PREFETCH_BYTES);
        if (t.split) {
            block_dot(t.source, M, w, x, ldx, 0, 0, acc);
            block_scale(t, M, acc, d, NULL, scales, lds, &sums);
            block_dot(t.source, M, w, x, ldx, 1, 1, acc);
            d += PD_CPU_GROUP_ROWS;
        } else {
            block_dot(t.source, M, w, x, ldx, 0, 1, acc);
        }
        block_scale(t, M, acc, d, m, scales, lds, &sums);
        w += source_block_bytes(t.source);
        x += PD_CPU_BLOCK;
        d += PD_CPU_GROUP_ROWS;
        if (t.minimum) m += PD_CPU_GROUP_ROWS;
        scales++;
    }
    UNROLL for (int i = 0; i < M; i++) {
        UNROLL for (int p = 0; p < PARTS; p++) {
            memcpy(out + (size_t)i * ldo + p * LANES, &sums.at[i][p], sizeof(vf));
        }
    }
}

typedef struct tile_job {
    const uint8_t *w;
    const float *d, *m;
    uint32_t first_block, n_blocks;
    const pd_cpu_quants *x;
    float *out;
    size_t ldo;
    bool add;
} tile_job;

INLINE void tile_at(weight_traits t, int M, const tile_job *job, uint32_t row, uint32_t out_row) {
    uint32_t n_blocks = job->x->k / PD_CPU_BLOCK;
    tile(t, M, job->w, job->d, job->m, job->n_blocks,
         job->x->values + (size_t)row * job->x->k + (size_t)job->first_block * PD_CPU_BLOCK,
         job->x->k, job->x->scales + (size_t)row * n_blocks + job->first_block, n_blocks,
         job->out + (size_t)out_row * job->ldo, job->ldo, job->add);
}

/* Activation rows [first, first + n), MAX of them at a time as long as there are as many. */
INLINE void tiles(weight_traits t, int MAX, const tile_job *job, uint32_t first, uint32_t n) {
    uint32_t i = 0;
    for (; i + (uint32_t)MAX <= n; i += (uint32_t)MAX) tile_at(t, MAX, job, first + i, i);
    for (; MAX > 4 && i + 4 <= n; i += 4) tile_at(t, 4, job, first + i, i);
    for (; MAX > 2 && i + 2 <= n; i += 2) tile_at(t, 2, job, first + i, i);
    for (; i < n; i++) tile_at(t, 1, job, first + i, i);
}

/* ---- scales --------------------------------------------------------------------------------- */

typedef uint8_t vu8 __attribute__((vector_size(LANES)));
typedef int8_t vi8 __attribute__((vector_size(LANES)));

INLINE void store_floats(float *out, vf v) {
    memcpy(out, &v, sizeof v);
}

/* d and m of blocks [first, first + n) as floats. offset: nibbles keep theirs, m takes it away. */
INLINE void expand_block(const pd_cpu_packing *p, int32_t offset, const uint8_t *group, uint32_t b,
                         int lane, float *d, float *m) {
    const uint8_t *at;
    switch (p->scales) {
    case PD_CPU_SCALES_D:
        store_floats(d, load_halves(group + 32 * b + 2 * lane));
        if (offset) store_floats(m, load_halves(group + 32 * b + 2 * lane) * (float)-offset);
        break;
    case PD_CPU_SCALES_DM:
        store_floats(d, load_halves(group + 64 * b + 2 * lane));
        store_floats(m, load_halves(group + 64 * b + 32 + 2 * lane));
        break;
    case PD_CPU_SCALES_K:
        group += b / 8 * 320;
        at = group + 64 + b % 8 * 32 + lane;
        store_floats(d,
                     load_halves(group + 2 * lane) * __builtin_convertvector(LOAD_AS(vu8, at), vf));
        store_floats(m, -load_halves(group + 32 + 2 * lane) *
                            __builtin_convertvector(LOAD_AS(vu8, at + 16), vf));
        break;
    case PD_CPU_SCALES_K16:
        group += b / 8 * 288;
        at = group + 32 + b % 8 * 32 + lane;
        store_floats(d,
                     load_halves(group + 2 * lane) * __builtin_convertvector(LOAD_AS(vi8, at), vf));
        store_floats(d + PD_CPU_GROUP_ROWS, load_halves(group + 2 * lane) *
                                                __builtin_convertvector(LOAD_AS(vi8, at + 16), vf));
        break;
    }
}

static void expand_scales(const pd_cpu_packing *p, int32_t offset, const uint8_t *group,
                          uint32_t first, uint32_t n, float *d, float *m) {
    uint32_t step = p->scales == PD_CPU_SCALES_K16 ? 2 * PD_CPU_GROUP_ROWS : PD_CPU_GROUP_ROWS;
    for (uint32_t b = first; b < first + n; b++, d += step, m += PD_CPU_GROUP_ROWS) {
        UNROLL for (int part = 0; part < PARTS; part++) {
            expand_block(p, offset, group, b, part * LANES, d + part * LANES, m + part * LANES);
        }
    }
}

/* ---- the table's functions ------------------------------------------------------------------ */

static void integer_few(pd_type type, const uint8_t *group, const pd_cpu_quants *x, uint32_t n_rows,
                        float *scales, float *out, size_t ldo) {
    pd_cpu_packing p;
    if (!pd_cpu_packing_of(type, &p)) return;
    uint32_t n_blocks = x->k / PD_CPU_BLOCK;
    float *d = scales, *m = scales + (size_t)n_blocks * PD_CPU_GROUP_ROWS;
    expand_scales(&p, p.offset, group, 0, n_blocks, d, m);
    const tile_job job = {
        group + pd_cpu_quants_at(&p, x->k), d, m, 0, n_blocks, x, out, ldo, false};
    switch (p.bits) {
    case 4: tiles((weight_traits){NIBBLES, false, true}, FEW, &job, 0, n_rows); break;
    case 5: tiles((weight_traits){FIVES, false, true}, FEW, &job, 0, n_rows); break;
    case 6: tiles((weight_traits){SIXES, true, false}, FEW, &job, 0, n_rows); break;
    case 8: tiles((weight_traits){BYTES, false, false}, FEW, &job, 0, n_rows); break;
    }
}

/* 16 pairs of each of n blocks. */
INLINE void unpack_pairs(weight_source source, const uint8_t *w, uint32_t n, int16_t offset,
                         int16_t *pairs) {
    for (uint32_t b = 0; b < n; b++, w += source_block_bytes(source)) {
        UNROLL for (int i = 0; i < BLOCK_PAIRS; i++) {
            UNROLL for (int p = 0; p < PARTS; p++, pairs += VB / 2) {
                vs v = weight_pair(source, w, i / 4, i / 2 % 2, i % 2, p) - offset;
                memcpy(pairs, &v, sizeof v);
            }
        }
    }
}

static void integer_unpack(pd_type type, const uint8_t *group, uint32_t k,
                           const pd_cpu_panel *panel) {
    pd_cpu_packing p;
    if (!pd_cpu_packing_of(type, &p)) return;
    expand_scales(&p, 0, group, panel->first_block, panel->n_blocks, panel->d, panel->m);
    const uint8_t *w =
        group + pd_cpu_quants_at(&p, k) + (size_t)panel->first_block * pd_cpu_block_bytes(&p);
    switch (p.bits) {
    case 4: unpack_pairs(NIBBLES, w, panel->n_blocks, (int16_t)p.offset, panel->pairs); break;
    case 5: unpack_pairs(FIVES, w, panel->n_blocks, (int16_t)p.offset, panel->pairs); break;
    case 6: unpack_pairs(SIXES, w, panel->n_blocks, 0, panel->pairs); break;
    case 8: unpack_pairs(BYTES, w, panel->n_blocks, 0, panel->pairs); break;
    }
}

static void integer_many(pd_type type, const pd_cpu_panel *panel, const pd_cpu_quants *x,
                         uint32_t first, uint32_t n_rows, float *out, size_t ldo, bool add) {
    pd_cpu_packing p;
    if (!pd_cpu_packing_of(type, &p)) return;
    const tile_job job = {(const uint8_t *)panel->pairs,
                          panel->d,
                          panel->m,
                          panel->first_block,
                          panel->n_blocks,
                          x,
                          out,
                          ldo,
                          add};
    switch (p.scales) {
    case PD_CPU_SCALES_D:
        tiles((weight_traits){PAIRS, false, false}, MANY, &job, first, n_rows);
        break;
    case PD_CPU_SCALES_K16:
        tiles((weight_traits){PAIRS, true, false}, MANY, &job, first, n_rows);
        break;
    case PD_CPU_SCALES_DM:
    case PD_CPU_SCALES_K:
        tiles((weight_traits){PAIRS, false, true}, MANY, &job, first, n_rows);
        break;
    }
}

enum { BLOCK_VECTORS = PD_CPU_BLOCK / LANES };

INLINE vf pick(vi mask, vf a, vf b) {
    return (vf)(((vi)a & mask) | ((vi)b & ~mask));
}

/* Largest |x| of a block; NaN is passed over. *poison: 0, but NaN when a value is not finite. */
INLINE float block_max(const vf x[BLOCK_VECTORS], float *poison) {
    vf most = {0}, zero = {0};
    UNROLL for (int v = 0; v < BLOCK_VECTORS; v++) {
        vf size = (vf)((vi)x[v] & 0x7fffffff);
        most = pick(size > most, size, most);
        zero += x[v] * 0.0f;
    }
    float max = 0;
    *poison = 0;
    UNROLL for (int i = 0; i < LANES; i++) {
        max = most[i] > max ? most[i] : max;
        *poison += zero[i];
    }
    return max;
}

/* 32 quants in 32 bits each to the order of integer.h: of four columns the first and the third,
 * the second and the fourth. */
INLINE void store_quants(const int32_t q[PD_CPU_BLOCK], int16_t *out) {
    UNROLL for (int g = 0; g < PD_CPU_BLOCK / 4; g++) {
        const int32_t *c = q + 4 * g;
        int16_t four[4] = {(int16_t)c[0], (int16_t)c[2], (int16_t)c[1], (int16_t)c[3]};
        memcpy(out + 4 * (g % 4 * 2 + g / 4), four, sizeof four);
    }
}

/* What is not finite makes the scale NaN, so that products show it. A block of values too small for
 * the inverse of their scale counts as zeros. */
INLINE void quantize_block(const float *from, int16_t *values, pd_cpu_block_scale *scale) {
    const float most = 32639.0f, least = 1e-33f;
    const float magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer */
    vf x[BLOCK_VECTORS];
    vi q[BLOCK_VECTORS], sums = {0};
    float poison;
    memcpy(x, from, sizeof x);
    float max = block_max(x, &poison);
    bool usable = max > least && !isnan(poison);
    float inverse = usable ? most / max : 0;
    UNROLL for (int v = 0; v < BLOCK_VECTORS; v++) {
        q[v] = usable ? (vi)(x[v] * inverse + magic) - 0x4b400000 : (vi){0}; /* magic's bits */
        sums += q[v];
    }
    int32_t sum = 0, all[PD_CPU_BLOCK];
    UNROLL for (int i = 0; i < LANES; i++) sum += sums[i];
    memcpy(all, q, sizeof all);
    store_quants(all, values);
    scale->scale = usable ? max / most : poison;
    scale->sum = scale->scale * (float)sum;
}

static void integer_quantize(const float *x, uint32_t k, int16_t *values,
                             pd_cpu_block_scale *scales) {
    for (uint32_t b = 0; b < k / PD_CPU_BLOCK; b++) {
        quantize_block(x + b * PD_CPU_BLOCK, values + b * PD_CPU_BLOCK, scales + b);
    }
}

/* Chains that each feed on themselves, more than hide the latency of a product and a sum. */
enum { BURN_CHAINS = 10 };

static int32_t integer_burn(uint32_t n) {
    vi a[BURN_CHAINS], sum = {0};
    const vs w = (vs)((vi){0} + 0x00010003);
    for (int i = 0; i < BURN_CHAINS; i++) a[i] = (vi){0} + i;
    for (uint32_t k = 0; k < n; k++)
        UNROLL for (int i = 0; i < BURN_CHAINS; i++) a[i] = dot16(a[i], (vs)a[i], w);
    for (int i = 0; i < BURN_CHAINS; i++) sum += a[i];
    return sum[0];
}

#define INTEGER_TABLE(isa)                                                                         \
    {                                                                                              \
        .name = isa, .quantize = integer_quantize, .few = integer_few, .unpack = integer_unpack,   \
        .many = integer_many, .many_rows = MANY, .burn = integer_burn,                             \
        .burn_flops = VB * BURN_CHAINS                                                             \
    }

#endif
