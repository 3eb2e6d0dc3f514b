/* Random tensors in stored form, fast: the bytes of a block are the output of a counter-based
 * generator, and only the scales are put in afterwards.
 *
 *     word i of a tensor = mix(hash(name, seed) + (i + 1) * 0x9E3779B97F4A7C15)      (SplitMix64)
 *
 * Every quantised format has levels whose mean is not zero (Q4_0: -8..7). With scales of one sign
 * that mean would rule every row's sum and all rows would look alike; therefore scales take either
 * sign, from the random bit that lies where the scale's sign bit goes. With
 * r = the root mean square of the levels around that mean, a scale of std / r gives values of the
 * wanted std:
 *
 *     levels             n = 16          32          64          256
 *     q - n/2            r = 4.637       9.247       18.48       73.90     sqrt((n^2 - 1)/12 + 1/4)
 *     q - (n - 1)/2      r = 4.610       9.233                             sqrt((n^2 - 1)/12)
 *
 * Unquantised values are the sum of four uniform 16-bit numbers, centred: near enough to normal,
 * and the same on every machine.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "base/hash.h"
#include "pack/synth.h"

enum { MAX_BLOCK_WORDS = 27 }; /* Q6_K: 210 bytes */

static uint64_t random_word(uint64_t key, uint64_t i) {
    uint64_t x = key + (i + 1) * UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

/* Mean 0, std 1, within 3.47. */
static float random_normal(uint64_t key, uint64_t i) {
    uint64_t w = random_word(key, i);
    int32_t sum = (int32_t)((w & 0xffff) + (w >> 16 & 0xffff) + (w >> 32 & 0xffff) + (w >> 48));
    return (float)(sum - 131070) * (1.0f / 37837.227f); /* 65536 / sqrt(3) */
}

/* The f16 magnitudes to put at byte `at`, each with the sign of the random byte it replaces. */
static void put_scale(uint8_t *block, unsigned at, uint16_t magnitude) {
    block[at] = (uint8_t)magnitude;
    block[at + 1] = (uint8_t)((magnitude >> 8) | (block[at + 1] & 0x80));
}

/* The second scale of a block takes the sign of the first at byte 0, turned round if `opposite`. */
static void put_offset(uint8_t *block, unsigned at, uint16_t magnitude, bool opposite) {
    uint8_t sign = (uint8_t)((block[1] & 0x80) ^ (opposite ? 0x80 : 0));
    block[at] = (uint8_t)magnitude;
    block[at + 1] = (uint8_t)((magnitude >> 8) | sign);
}

typedef struct block_scales {
    const pd_type_info *type;
    uint16_t d, m; /* f16 magnitudes */
} block_scales;

/* r of the table above. */
static float level_rms(const pd_type_info *t) {
    static const float around_half[] = {[4] = 4.637f, [5] = 9.247f, [6] = 18.48f, [8] = 73.90f};
    static const float around_mean[] = {[4] = 4.610f, [5] = 9.233f};
    return t->has_minimum ? around_mean[t->quant_bits] : around_half[t->quant_bits];
}

/* Blocks of 256 multiply d by a second scale: 32 beside minima, else 64 (put_scales). */
static block_scales choose_scales(const pd_type_info *t, float std) {
    float second = t->block_values < 256 ? 1 : t->has_minimum ? 32 : 64;
    float d = std / (level_rms(t) * second);
    float m = t->has_minimum ? (float)((1 << t->quant_bits) - 1) / 2 * d : 0;
    return (block_scales){t, pd_f32_to_f16(d), pd_f32_to_f16(m)};
}

/* All eight 6-bit scales and minima of a Q4_K or Q5_K block are 32 = 0b100000: the upper two bits
 * of those of sub-blocks 4-7 lie above the six of 0-3, their lower four are zero. */
static void put_k_scales(uint8_t *sc) {
    memset(sc, 32 | 2 << 6, 8);
    memset(sc + 8, 0, 4);
}

static void put_scales_256(const block_scales *s, uint8_t *block) {
    if (s->type->has_minimum) { /* Q4_K, Q5_K */
        put_scale(block, 0, s->d);
        put_offset(block, 2, s->m, false);
        put_k_scales(block + 4);
    } else { /* Q6_K */
        for (int i = 192; i < 208; i++) block[i] = block[i] & 0x80 ? (uint8_t)-64 : 64;
        block[208] = (uint8_t)s->d;
        block[209] = (uint8_t)(s->d >> 8);
    }
}

static void put_scales_32(const block_scales *s, uint8_t *block) {
    put_scale(block, 0, s->d);
    if (s->type->has_minimum) put_offset(block, 2, s->m, true);
}

static void fill_blocks(const synth_tensor *t, uint64_t key, uint64_t first, uint64_t n,
                        uint8_t *out) {
    const pd_type_info *type = pd_type_get(t->type);
    block_scales scales = choose_scales(type, t->std);
    size_t block_bytes = type->block_bytes, n_words = (block_bytes + 7) / 8;
    for (uint64_t b = first; b < first + n; b++, out += block_bytes) {
        uint64_t words[MAX_BLOCK_WORDS];
        for (size_t i = 0; i < n_words; i++) words[i] = random_word(key, b * n_words + i);
        memcpy(out, words, block_bytes);
        (type->block_values == 256 ? put_scales_256 : put_scales_32)(&scales, out);
    }
}

static void fill_values(const synth_tensor *t, uint64_t key, uint64_t first, uint64_t n,
                        uint8_t *out) {
    for (uint64_t i = 0; i < n; i++) {
        float value = t->mean + t->std * random_normal(key, first + i);
        uint16_t half = t->type == PD_TYPE_F16 ? pd_f32_to_f16(value) : pd_f32_to_bf16(value);
        if (t->type == PD_TYPE_F32) {
            memcpy(out + 4 * i, &value, sizeof value);
        } else {
            memcpy(out + 2 * i, &half, sizeof half);
        }
    }
}

void synth_fill(const synth_tensor *t, uint64_t seed, uint64_t first, uint64_t n, uint8_t *out) {
    uint64_t key = pd_hash_seeded(t->name, strlen(t->name), seed);
    if (pd_type_get(t->type)->block_values == 1) {
        fill_values(t, key, first, n, out);
    } else {
        fill_blocks(t, key, first, n, out);
    }
}
