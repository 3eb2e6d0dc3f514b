// Dot products of blocks in f32, for rows of any format. See matvec.glsl for the interface.
// SPDX-License-Identifier: MIT

#define X_QUAD vec4
#define W_QUAD vec4
#define PART float
#define OFFSET float

X_QUAD x_quad(uint at, uint j) { return x4(at, j); }
W_QUAD w_quad(Block k, uint j) { return weight4(k, j); }
PART mac(PART part, W_QUAD w, X_QUAD v) { return part + dot(w, v); }
OFFSET add_offset(OFFSET o, X_QUAD v) { return o; }
float scaled(Block k, uint h, PART part, OFFSET o, uint at) { return part; }
