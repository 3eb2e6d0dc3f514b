/* Packed weights to the lanes that the integer kernels multiply, for integer_body.h and with its
 * definitions: pairs of 16-bit integers or quads of bytes (packed.h says what lies where).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_CPU_INTEGER_WEIGHTS_H
#define PD_CPU_INTEGER_WEIGHTS_H

/* Where a tile's weights come from. */
typedef enum weight_source { NIBBLES, FIVES, SIXES, BYTES, PANEL } weight_source;

/* ---- weights in pairs: 16-bit lanes --------------------------------------------------------- */

#if PLANES == 0

/* Four bits of each lane. */
INLINE vs nibble_of(const uint8_t *unit, int i) {
    vw v = LOAD_AS(vw, unit);
    return (vs)(i == 0 ? v & 15 : i == 3 ? v >> 12 : v >> (4 * i) & 15);
}
/* The same where it lies in the lane, 1, 16 or 256 times as much, in one step instead of two. */
enum { HAS_NIBBLES_IN_PLACE = 1 };
INLINE vs nibble_in_place(const uint8_t *unit, int i) {
    vw v = LOAD_AS(vw, unit);
    return (vs)(i == 3 ? v >> 12 : v & (uint16_t)(15 << (4 * i)));
}
INLINE int shift_of_nibble(int i) {
    return i == 3 ? 0 : 4 * i;
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
INLINE vs packed_weights(weight_source source, const uint8_t *w, int u, int q, int j) {
    const int i = 2 * j + q;
    switch (source) {
    case NIBBLES: return nibble_of(w + u * 64, i);
    case FIVES: return nibble_of(w + u * 64, i) | fifth_of(w + 4 * 64, u, i);
    case SIXES: return (nibble_of(w + u * 64, i) | sixth_of(w + 4 * 64, u, i)) - 32;
    case BYTES: return byte_of(w + (2 * u + q) * 64, j);
    case PANEL: break;
    }
    return (vs){0};
}

INLINE vs minus_offset(vs w, int offset) {
    return w - (int16_t)offset;
}

/* ---- weights in quads: bytes ---------------------------------------------------------------- */

#else

typedef uint8_t vb __attribute__((vector_size(VB)));

enum { HAS_NIBBLES_IN_PLACE = 0 };
INLINE vs nibble_in_place(const uint8_t *unit, int i) {
    (void)unit, (void)i;
    return (vs){0};
}
INLINE int shift_of_nibble(int i) {
    return 0 * i;
}

INLINE vb nibble_of(const uint8_t *unit, int q) {
    vb v = LOAD_AS(vb, unit);
    return q ? v >> 4 : v & 15;
}
/* The bits above nibbles, which lie as pairs want them: of columns j and two after it in one
 * 16-bit lane. */
INLINE vb fifth_of(const uint8_t *unit, int u, int q) {
    vw v = LOAD_AS(vw, unit) >> (4 * u + q);
    return (vb)((v << 4 & 0x0010) | (v << 10 & 0x1000));
}
INLINE vb sixth_of(const uint8_t *units, int u, int q) {
    vw v = LOAD_AS(vw, units + u / 2 * 64) >> (u % 2 * 8 + 2 * q);
    return (vb)((v << 4 & 0x0030) | (v << 8 & 0x3000));
}

/* Quad 2u + q of the block at w, one part of the rows; j is 0. */
INLINE vs packed_weights(weight_source source, const uint8_t *w, int u, int q, int j) {
    (void)j;
    vb v;
    switch (source) {
    case NIBBLES: return (vs)nibble_of(w + u * 64, q);
    case FIVES: return (vs)(nibble_of(w + u * 64, q) | fifth_of(w + 4 * 64, u, q));
    case SIXES:
        v = nibble_of(w + u * 64, q) | sixth_of(w + 4 * 64, u, q);
        return (vs)(HAS_SIGNS ? v - 32 : v);
    case BYTES: v = LOAD_AS(vb, w + (2 * u + q) * 64); return (vs)(HAS_SIGNS ? v : v ^ 0x80);
    case PANEL: break;
    }
    return (vs){0};
}

INLINE vs minus_offset(vs w, int offset) {
    return (vs)((vb)w - (uint8_t)offset);
}

#endif

INLINE vs weights_at(weight_source source, const uint8_t *w, int u, int q, int j, int part) {
    w += part * VB;
    if (source == PANEL) return LOAD_AS(vs, w + ((2 * u + q) * STEPS + j) * PANEL_UNIT_BYTES);
    return packed_weights(source, w, u, q, j);
}

INLINE size_t source_block_bytes(weight_source source) {
    static const size_t units[] = {4, 5, 6, 8};
    return source == PANEL ? PANEL_UNITS * PANEL_UNIT_BYTES : units[source] * PD_CPU_UNIT_BYTES;
}

#endif
