/* Bodies of the integer kernels, included once per table by a file that has defined
 *
 *     VB           bytes of a vector: 16, 32 or 64
 *     FEW, MANY    activation rows at once, of a packed group and of a panel
 *     FEW_ROWS     up to so many rows, unpacking groups anew for every FEW costs less than a panel
 *                  (12 where nothing was measured)
 *     TILE_GROUPS  groups of a panel's tile (1); with two, what is loaded of an activation is
 *                  multiplied twice
 *     PLANES       0: activations in pairs; 1: in quads; 2: double (integer.h)
 *     vi, vs, vw, vf   vectors of 32-bit and 16-bit integers, 16-bit words, floats
 *     dot          vi plus, in each 32-bit lane, the sum of products of two pairs of 16-bit
 *                  integers, or of two quads of bytes, as vs: weights, activations
 *     MOST_BITS    of a quant that dot takes without overflow: 6 or 8
 *     SIGNED_QUADS 0: dot takes the weights' bytes as unsigned; 1: as signed
 *     load_halves  VB / 4 halves widened to vf
 *     SHORT_SUMS, dot_short, add_short   if dot is two steps: products of quads added up in 16-bit
 *                  lanes, and pairs of these lanes added to vi; the weights' bytes are unsigned
 *     ROW_PAIRS, dot_pairs, two_rows   if there is an instruction that multiplies two rows of eight
 *                  columns with two: vi plus {x0 w0, x0 w1, x1 w0, x1 w1}; eight bytes of each row
 *
 * A group's 16 rows are the 32-bit lanes of PARTS vectors; a panel has the rows of TILE_GROUPS
 * groups. An activation's pair or quad of columns is broadcast to all lanes, so that one dot adds
 * their products for VB / 4 rows, and a row's sum never leaves its lane: there is nothing to add up
 * across lanes, and results are stored 16 or 32 at a time.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_CPU_INTEGER_BODY_H
#define PD_CPU_INTEGER_BODY_H

#include <math.h>
#include <string.h>

#ifndef TILE_GROUPS
#define TILE_GROUPS 1
#endif

enum {
    PARTS = 64 / VB,
    PANEL_PARTS = TILE_GROUPS * PARTS,
    PANEL_ROWS = TILE_GROUPS * PD_CPU_GROUP_ROWS,
    TILE_ROWS = FEW > MANY ? FEW : MANY,
    MOST_ROWS = TILE_ROWS > 4 ? TILE_ROWS : 4, /* tiles() has tiles of four, if never called */
    LANES = VB / 4,
    COLUMNS = PLANES ? 4 : 2, /* that one dot multiplies */
    STEPS = 4 / COLUMNS,      /* for four neighbouring columns */
    ACTIVATION_PLANES = PLANES == 2 ? 2 : 1,
    PANEL_UNITS = PD_CPU_BLOCK / COLUMNS, /* of a block */
    PANEL_UNIT_BYTES = TILE_GROUPS * PD_CPU_UNIT_BYTES,
    ACTIVATION_BYTES = PLANES == 1 ? 1 : 2,
    BLOCK_BYTES = PD_CPU_BLOCK * ACTIVATION_BYTES, /* of a row's activations */
    HAS_SIGNS = PLANES == 0 || SIGNED_QUADS        /* of weights */
};

#ifndef FEW_ROWS
#define FEW_ROWS 12
#endif

_Static_assert((int)MOST_ROWS <= (int)PD_CPU_MANY_MAX &&
                   (int)PANEL_ROWS <= (int)PD_CPU_PANEL_ROWS_MAX,
               "others have room for what a tile computes");

#include "backend/cpu/integer_quantize.h"
#include "backend/cpu/integer_scales.h"
#include "backend/cpu/integer_weights.h"
#include "backend/cpu/prefetch.h"

/* ---- a tile: a group's or a panel's weight rows by M activation rows ------------------------ */

/* What a tile's weights have, constants wherever they are used. */
typedef struct weight_traits {
    weight_source source;
    pd_cpu_scales scales; /* K16: one for each half of a block */
    bool has_offset;      /* quants are 2^offset_bits too much */
    int offset_bits;      /* the one that need not be a constant */
} weight_traits;

INLINE bool is_split(weight_traits t) {
    return t.scales == PD_CPU_SCALES_K16;
}
INLINE bool has_minima(weight_traits t) {
    return t.scales == PD_CPU_SCALES_DM || t.scales == PD_CPU_SCALES_K;
}

INLINE int parts_of(weight_source source) {
    return source == PANEL ? PANEL_PARTS : PARTS;
}

typedef struct tile_sums {
    vf at[MOST_ROWS][PANEL_PARTS];
} tile_sums;

typedef vi plane_sums[PANEL_PARTS][ACTIVATION_PLANES]; /* of one activation row */

typedef struct block_sums {
    plane_sums at[MOST_ROWS];
} block_sums;

INLINE vs broadcast(const uint8_t *x) {
    return (vs)((vi){0} + LOAD_AS(int32_t, x));
}

/* A product waits for the one before it of its sum, some cycles: few sums are kept in several
 * pieces. */
enum { MAX_CHAINS = 4, ENOUGH_CHAINS = 8 };

/* Each of the four nibbles of a lane has a chain of its own, so that they need not be moved: eight
 * products of at most 15 * 256 * 32639 are less than 2^31. */
INLINE bool takes_nibbles_in_place(weight_source source, int chains) {
    return HAS_NIBBLES_IN_PLACE && source == NIBBLES && chains == MAX_CHAINS;
}

INLINE int chains_of(int M, int parts) {
    int sums = M * parts * ACTIVATION_PLANES, most = 2 * STEPS;
    return sums * most <= ENOUGH_CHAINS ? most : sums * 2 <= ENOUGH_CHAINS ? 2 : 1;
}

INLINE void clear_sums(int M, int parts, plane_sums sums[MOST_ROWS]) {
    UNROLL for (int i = 0; i < M; i++) {
        UNROLL for (int p = 0; p < parts; p++) {
            UNROLL for (int h = 0; h < ACTIVATION_PLANES; h++) sums[i][p][h] = (vi){0};
        }
    }
}

/* Of the last plane, which is multiplied by 1. */
INLINE void start_sums(int M, int parts, const vi start[MOST_ROWS], plane_sums sums[MOST_ROWS]) {
    clear_sums(M, parts, sums);
    UNROLL for (int i = 0; i < M; i++) {
        UNROLL for (int p = 0; p < parts; p++) sums[i][p][ACTIVATION_PLANES - 1] = start[i];
    }
}

#ifdef SHORT_SUMS

/* A product of quads comes as two sums of 16 bits in a lane, and making one of 32 of these costs as
 * much as the product: as many are added up before as 16 bits hold for sure. Two weights of n bits
 * make at most 2 * (2^n - 1) * 127. Returned are the units of these. */
INLINE int short_units(weight_source source, int q0, int q1) {
    const bool sixes = source == SIXES || (source == PANEL && q0 == q1);
    const int products = source == NIBBLES ? 8 : sixes ? 2 : 4;
    const int units = products / (q1 - q0 + 1);
    return units < 4 ? units : 4;
}

/* start[i] plus the integer sums over columns 16q .. 16q + 15 of a block, for q from q0 to q1. */
INLINE void block_dot(weight_source source, int M, const uint8_t *w, const uint8_t *x, size_t ldx,
                      int q0, int q1, const vi start[MOST_ROWS], block_sums *acc) {
    const int n = short_units(source, q0, q1), parts = parts_of(source);
    start_sums(M, parts, start, acc->at);
    for (int first = 0; first < 4; first += n) {
        vs sums[MOST_ROWS][PANEL_PARTS] = {{{0}}};
        for (int u = first; u < first + n; u++) { /* not unrolled: it is slower */
            UNROLL for (int q = q0; q <= q1; q++) {
                vs wv[PANEL_PARTS];
                UNROLL for (int p = 0; p < parts; p++) wv[p] = weights_at(source, w, u, q, 0, p);
                UNROLL for (int i = 0; i < M; i++) {
                    vs a = broadcast(x + 4 * (2 * u + q) + (size_t)i * ldx);
                    UNROLL for (int p = 0; p < parts; p++) sums[i][p] =
                        dot_short(sums[i][p], wv[p], a);
                }
            }
        }
        UNROLL for (int i = 0; i < M; i++) {
            UNROLL for (int p = 0; p < parts; p++) acc->at[i][p][0] =
                add_short(acc->at[i][p][0], sums[i][p]);
        }
    }
}

#else

/* start[i] plus the integer sums over columns 16q .. 16q + 15 of a block, for q from q0 to q1. */
INLINE void block_dot(weight_source source, int M, const uint8_t *w, const uint8_t *x, size_t ldx,
                      int q0, int q1, const vi start[MOST_ROWS], block_sums *acc) {
    const int parts = parts_of(source), chains = chains_of(M, parts);
    const bool in_place = takes_nibbles_in_place(source, chains);
    plane_sums sums[MAX_CHAINS][MOST_ROWS];
    start_sums(M, parts, start, sums[0]);
    UNROLL for (int c = 1; c < chains; c++) clear_sums(M, parts, sums[c]);
    for (int u = 0; u < 4; u++) { /* not unrolled: the code is long enough */
        UNROLL for (int q = q0; q <= q1; q++) {
            UNROLL for (int j = 0; j < STEPS; j++) {
                vs wv[PANEL_PARTS];
                const uint8_t *xj = x + 4 * ((2 * u + q) * STEPS + j);
                UNROLL for (int p = 0; p < parts; p++) wv[p] =
                    in_place ? nibble_in_place(w + u * 64 + p * VB, 2 * j + q)
                             : weights_at(source, w, u, q, j, p);
                UNROLL for (int i = 0; i < M; i++) {
                    UNROLL for (int h = 0; h < ACTIVATION_PLANES; h++) {
                        vs a = broadcast(xj + (size_t)i * ldx + h * PD_CPU_BLOCK);
                        vi(*sum)[ACTIVATION_PLANES] = sums[(2 * j + q) % chains][i];
                        UNROLL for (int p = 0; p < parts; p++) sum[p][h] = dot(sum[p][h], wv[p], a);
                    }
                }
            }
        }
    }
    UNROLL for (int i = 0; i < M; i++) {
        UNROLL for (int p = 0; p < parts; p++) {
            UNROLL for (int h = 0; h < ACTIVATION_PLANES; h++) {
                acc->at[i][p][h] = sums[0][i][p][h];
                UNROLL for (int c = 1; c < chains; c++) acc->at[i][p][h] +=
                    sums[c][i][p][h] >> (in_place ? shift_of_nibble(c) : 0);
            }
        }
    }
}

#endif

#ifdef ROW_PAIRS

/* The same over a whole block for pairs of activation rows, by an instruction that multiplies two
 * rows of eight columns with two: of both quads of a u. A part's four weight rows are two pairs. */
INLINE void block_dot_pairs(weight_source source, int M, const uint8_t *w, const uint8_t *x,
                            size_t ldx, const vi start[MOST_ROWS], block_sums *acc) {
    vi sums[MOST_ROWS / 2][ACTIVATION_PLANES][PANEL_PARTS][2] = {{{{{0}}}}};
    const int parts = parts_of(source);
    for (int u = 0; u < 4; u++) {
        vi wv[PANEL_PARTS][2];
        UNROLL for (int p = 0; p < parts; p++) {
            vi first = (vi)weights_at(source, w, u, 0, 0, p);
            vi second = (vi)weights_at(source, w, u, 1, 0, p);
            wv[p][0] = __builtin_shufflevector(first, second, 0, 4, 1, 5);
            wv[p][1] = __builtin_shufflevector(first, second, 2, 6, 3, 7);
        }
        UNROLL for (int i = 0; i < M / 2; i++) {
            UNROLL for (int h = 0; h < ACTIVATION_PLANES; h++) {
                const uint8_t *xi = x + 8 * u + h * PD_CPU_BLOCK + (size_t)(2 * i) * ldx;
                vi a = two_rows(xi, xi + ldx);
                UNROLL for (int p = 0; p < parts; p++) {
                    sums[i][h][p][0] = dot_pairs(sums[i][h][p][0], a, wv[p][0]);
                    sums[i][h][p][1] = dot_pairs(sums[i][h][p][1], a, wv[p][1]);
                }
            }
        }
    }
    start_sums(M, parts, start, acc->at);
    UNROLL for (int i = 0; i < M / 2; i++) {
        UNROLL for (int h = 0; h < ACTIVATION_PLANES; h++) {
            UNROLL for (int p = 0; p < parts; p++) {
                vi low = sums[i][h][p][0], high = sums[i][h][p][1];
                acc->at[2 * i][p][h] += __builtin_shufflevector(low, high, 0, 1, 4, 5);
                acc->at[2 * i + 1][p][h] += __builtin_shufflevector(low, high, 2, 3, 6, 7);
            }
        }
    }
}

#endif

/* Takes what the offset of quants adds away from a block's sum, or from that of its half h. */
INLINE vi start_of(weight_traits t, const pd_cpu_block_scale *s, int h) {
    if (!t.has_offset) return (vi){0};
    int32_t minus = !is_split(t) ? s->minus_all
                    : h == 0     ? s->minus_first
                                 : s->minus_all - s->minus_first;
    return ((vi){0} + minus) << t.offset_bits;
}

/* A block's sums, or those of its half h where halves have scales of their own. */
INLINE void sum_block(weight_traits t, int M, const uint8_t *w, const uint8_t *x, size_t ldx,
                      const pd_cpu_block_scale *scales, size_t lds, int h, block_sums *acc) {
    vi start[MOST_ROWS];
    UNROLL for (int i = 0; i < M; i++) start[i] = start_of(t, scales + (size_t)i * lds, h);
#ifdef ROW_PAIRS
    if (M % 2 == 0 && !is_split(t)) {
        block_dot_pairs(t.source, M, w, x, ldx, start, acc);
        return;
    }
#endif
    block_dot(t.source, M, w, x, ldx, is_split(t) ? h : 0, is_split(t) ? h : 1, start, acc);
}

/* sum += acc * d * scale, and m * sum of the activations. */
INLINE void block_scale(weight_traits t, int M, const block_sums *acc, const row_scales *rows,
                        const pd_cpu_block_scale *scales, size_t lds, int half, tile_sums *sums) {
    const int parts = parts_of(t.source);
    UNROLL for (int i = 0; i < M; i++) {
        const pd_cpu_block_scale *s = scales + (size_t)i * lds;
        UNROLL for (int p = 0; p < parts; p++) {
            vi total = acc->at[i][p][0];
            if (ACTIVATION_PLANES == 2) total = (total << 8) + acc->at[i][p][ACTIVATION_PLANES - 1];
            vf f = __builtin_convertvector(total, vf) * s->scale;
            sums->at[i][p] += f * rows[p].d[half];
            if (has_minima(t)) sums->at[i][p] += rows[p].m[0] * s->sum;
        }
    }
}

/* Where a tile's weights are: quants, and scales as a group or a panel has them. */
typedef struct tile_weights {
    const uint8_t *quants, *group;
    const float *d, *m;
} tile_weights;

/* Of block b, counted from the tile's first; a group's tile begins with its first block. */
INLINE void load_scales(weight_traits t, const tile_weights *w, uint32_t b, row_scales *rows) {
    const size_t step = is_split(t) ? 2 * PANEL_ROWS : PANEL_ROWS;
    UNROLL for (int p = 0; p < parts_of(t.source); p++) {
        if (t.source != PANEL) {
            rows[p] = row_scales_at(t.scales, 0, w->group, b, p * LANES);
            continue;
        }
        UNROLL for (int h = 0; h <= (int)is_split(t); h++) {
            size_t at = b * step + (size_t)h * PANEL_ROWS + (size_t)p * LANES;
            rows[p].d[h] = LOAD_AS(vf, w->d + at);
            if (has_minima(t)) rows[p].m[h] = LOAD_AS(vf, w->m + at);
        }
    }
}

/* n_blocks blocks from w, x and scales on. */
INLINE void tile(weight_traits t, int M, const tile_weights *w, uint32_t n_blocks, const uint8_t *x,
                 size_t ldx, const pd_cpu_block_scale *scales, size_t lds, float *out, size_t ldo,
                 bool add) {
    const uint8_t *quants = w->quants;
    const int parts = parts_of(t.source);
    tile_sums sums;
    block_sums acc;
    UNROLL for (int i = 0; i < M; i++) {
        UNROLL for (int p = 0; p < parts; p++) {
            sums.at[i][p] = add ? LOAD_AS(vf, out + (size_t)i * ldo + p * LANES) : (vf){0};
        }
    }
    for (uint32_t b = 0; b < n_blocks; b++) {
        row_scales rows[PANEL_PARTS];
        if (t.source != PANEL) prefetch(quants, source_block_bytes(t.source));
        load_scales(t, w, b, rows);
        UNROLL for (int h = 0; h <= (int)is_split(t); h++) {
            sum_block(t, M, quants, x, ldx, scales, lds, h, &acc);
            block_scale(t, M, &acc, rows, scales, lds, h, &sums);
        }
        quants += source_block_bytes(t.source);
        x += BLOCK_BYTES;
        scales++;
    }
    UNROLL for (int i = 0; i < M; i++) {
        UNROLL for (int p = 0; p < parts; p++) {
            memcpy(out + (size_t)i * ldo + p * LANES, &sums.at[i][p], sizeof(vf));
        }
    }
}

typedef struct tile_job {
    tile_weights w;
    uint32_t first_block, n_blocks;
    const pd_cpu_quants *x;
    float *out;
    size_t ldo;
    bool add;
} tile_job;

INLINE void tile_at(weight_traits t, int M, const tile_job *job, uint32_t row, uint32_t out_row) {
    uint32_t n_blocks = job->x->k / PD_CPU_BLOCK;
    size_t ldx = (size_t)job->x->k * ACTIVATION_BYTES;
    tile(t, M, &job->w, job->n_blocks,
         job->x->values + row * ldx + (size_t)job->first_block * BLOCK_BYTES, ldx,
         job->x->scales + (size_t)row * n_blocks + job->first_block, n_blocks,
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

/* ---- the table's functions ------------------------------------------------------------------ */

static void integer_few(pd_type type, const uint8_t *group, const pd_cpu_quants *x, uint32_t n_rows,
                        float *out, size_t ldo) {
    pd_cpu_packing p;
    if (!pd_cpu_packing_of(type, &p)) return;
    const tile_job job = {{.quants = group + pd_cpu_quants_at(&p, x->k), .group = group},
                          0,
                          x->k / PD_CPU_BLOCK,
                          x,
                          out,
                          ldo,
                          false};
    switch (type) {
#define FEW_OF(name, source, scales, has_offset, bits)                                             \
    case PD_TYPE_##name:                                                                           \
        tiles((weight_traits){source, PD_CPU_SCALES_##scales, has_offset, bits - 1}, FEW, &job, 0, \
              n_rows);                                                                             \
        break;
        FEW_OF(Q4_0, NIBBLES, D, true, 4)
        FEW_OF(Q4_1, NIBBLES, DM, false, 4)
        FEW_OF(Q4_K, NIBBLES, K, false, 4)
        FEW_OF(Q5_0, FIVES, D, true, 5)
        FEW_OF(Q5_1, FIVES, DM, false, 5)
        FEW_OF(Q5_K, FIVES, K, false, 5)
        FEW_OF(Q6_K, SIXES, K16, !HAS_SIGNS, 6)
        FEW_OF(Q8_0, BYTES, D, !HAS_SIGNS, 8)
#undef FEW_OF
    default: break;
    }
}

/* All units of n blocks of a group, without their offset, to its place in a panel's. */
INLINE void unpack_units(weight_source source, const uint8_t *w, uint32_t n, int offset,
                         uint8_t *units) {
    for (uint32_t b = 0; b < n; b++, w += source_block_bytes(source)) {
        for (int u = 0; u < 4; u++) {
            UNROLL for (int i = 0; i < 2 * STEPS; i++) {
                UNROLL for (int p = 0; p < PARTS; p++) {
                    vs v = weights_at(source, w, u, i / STEPS, i % STEPS, p);
                    v = minus_offset(v, offset);
                    memcpy(units + p * VB, &v, sizeof v);
                }
                units += PANEL_UNIT_BYTES;
            }
        }
    }
}

/* With signs a panel has the quants themselves, without them their offset. */
static void integer_unpack(pd_type type, const uint8_t *group, uint32_t k,
                           const pd_cpu_panel *panel, uint32_t which) {
    pd_cpu_packing p;
    if (!pd_cpu_packing_of(type, &p)) return;
    uint32_t n = panel->n_blocks, row = which * PD_CPU_GROUP_ROWS;
    uint8_t *units = panel->units + which * PD_CPU_UNIT_BYTES;
    int taken = HAS_SIGNS ? p.offset : 0;
    expand_scales(&p, 0, group, panel->first_block, n, PANEL_ROWS, panel->d + row, panel->m + row);
    const uint8_t *w =
        group + pd_cpu_quants_at(&p, k) + (size_t)panel->first_block * pd_cpu_block_bytes(&p);
    switch (p.bits) {
    case 4: unpack_units(NIBBLES, w, n, taken, units); break;
    case 5: unpack_units(FIVES, w, n, taken, units); break;
    case 6: unpack_units(SIXES, w, n, 0, units); break;
    case 8: unpack_units(BYTES, w, n, 0, units); break;
    }
}

static void integer_many(pd_type type, const pd_cpu_panel *panel, const pd_cpu_quants *x,
                         uint32_t first, uint32_t n_rows, float *out, size_t ldo, bool add) {
    pd_cpu_packing p;
    if (!pd_cpu_packing_of(type, &p)) return;
    const tile_job job = {{.quants = panel->units, .d = panel->d, .m = panel->m},
                          panel->first_block,
                          panel->n_blocks,
                          x,
                          out,
                          ldo,
                          add};
#define MANY_OF(scales, has_offset)                                                                \
    tiles((weight_traits){PANEL, PD_CPU_SCALES_##scales, has_offset, (int)p.bits - 1}, MANY, &job, \
          first, n_rows)
    switch (p.scales) {
    case PD_CPU_SCALES_D: MANY_OF(D, !HAS_SIGNS); break;
    case PD_CPU_SCALES_K16: MANY_OF(K16, !HAS_SIGNS); break;
    case PD_CPU_SCALES_DM:
    case PD_CPU_SCALES_K: MANY_OF(K, false); break;
    }
#undef MANY_OF
}

/* ---- measuring ------------------------------------------------------------------------------ */

/* Chains that each feed on themselves, more than hide the latency of a product and a sum. */
enum { BURN_CHAINS = 10 };

static int32_t integer_burn(uint32_t n) {
    vi a[BURN_CHAINS], sum = {0};
    const vs w = (vs)((vi){0} + 0x00010003);
    for (int i = 0; i < BURN_CHAINS; i++) a[i] = (vi){0} + i;
    for (uint32_t k = 0; k < n; k++)
        UNROLL for (int i = 0; i < BURN_CHAINS; i++) a[i] = dot(a[i], (vs)a[i], w);
    for (int i = 0; i < BURN_CHAINS; i++) sum += a[i];
    return sum[0];
}

#define INTEGER_TABLE(isa)                                                                         \
    {                                                                                              \
        .name = isa, .quantize = integer_quantize, .few = integer_few, .unpack = integer_unpack,   \
        .many = integer_many, .burn = integer_burn,                                                \
        .burn_flops = 2 * LANES * COLUMNS * BURN_CHAINS, .most_bits = MOST_BITS,                   \
        .value_bytes = ACTIVATION_BYTES, .panel_rows = PANEL_ROWS, .many_rows = MANY,              \
        .few_rows = FEW_ROWS                                                                       \
    }

#endif
