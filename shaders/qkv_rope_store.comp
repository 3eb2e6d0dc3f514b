// qkv_rope_store: per-head RMS norm, rotation (or neither: PLAIN), and the page write, between the QKV
// product and attention. One workgroup per (head, row): query heads go to `q`, key and value heads to their page.
//
// Invocation i has the elements 2 i, 2 i + 1 and their partners at + HEAD_DIM / 2 (rotate-half pairs).
// Angles are kept in turns as 32-bit fractions of a 64-bit product, exact for every position on every
// driver: GPUs' own sin and cos may be wrong by 2^-11 and worse outside [-pi, pi].
// SPDX-License-Identifier: MIT
#version 450
#include "args.h"

layout(local_size_x_id = PD_WORKGROUP) in;
layout(constant_id = PD_WORKGROUP) const uint WG = 64; // >= HEAD_DIM / 4, power of two
layout(constant_id = PD_ROPE_HEAD_DIM) const uint HEAD_DIM = 256;
layout(constant_id = PD_ROPE_KV_F32) const uint KV_F32 = 0;
layout(constant_id = PD_ROPE_PLAIN) const uint PLAIN = 0; // neither norm nor rotation

layout(std430, binding = PD_BIND_ROPE_STEP) readonly buffer Step { uint step_words[]; };
layout(std430, binding = PD_BIND_ROPE_QKV) readonly buffer Qkv { vec2 qkv[]; };      // [rows][heads + 2 kv][hd / 2]
layout(std430, binding = PD_BIND_ROPE_Q) writeonly buffer Q { vec2 q[]; };         // [rows][heads][hd / 2]
layout(std430, binding = PD_BIND_ROPE_K) writeonly buffer K { uint k_words[]; };
layout(std430, binding = PD_BIND_ROPE_V) writeonly buffer V { uint v_words[]; };
layout(std430, binding = PD_BIND_ROPE_NORMS) readonly buffer Norms { vec2 norm_weight[]; }; // [q, k][hd / 2]
layout(std430, binding = PD_BIND_ROPE_TURNS) readonly buffer Rope { uvec2 turns_per_position[]; }; // 2^-64 turns, {high, low}
layout(push_constant) uniform Push { pd_args_rope args; };

#include "pages.glsl"
#include "reduce.glsl"
#include "halves.glsl"

const uint HALF = HEAD_DIM / 2u;
const uint PAIRS = HEAD_DIM / 4u; // invocations with work

// (cos, sin) of position * frequency of pair j
vec2 rotation(uint position, uint j) {
    uvec2 f = turns_per_position[args.rope_first + j];
    uint high, low;
    umulExtended(position, f.y, high, low);
    int turns = int(position * f.x + high); // modulo one turn, in 2^-32
    int quarter = (turns + 0x20000000) >> 30;
    float r = float(turns - (quarter << 30)) * (6.283185307179586 / 4294967296.0); // within pi / 4
    float r2 = r * r;
    float s = r * (1.0 + r2 * (-1.0 / 6.0 + r2 * (1.0 / 120.0 + r2 * (-1.0 / 5040.0 + r2 * (1.0 / 362880.0)))));
    float c = 1.0 + r2 * (-0.5 + r2 * (1.0 / 24.0 + r2 * (-1.0 / 720.0 + r2 * (1.0 / 40320.0))));
    int turn = quarter & 3;
    vec2 cs = (turn & 1) == 0 ? vec2(c, s) : vec2(-s, c);
    return turn >= 2 ? -cs : cs;
}

void store_k(uint page, uint head, uint slot, uint element, vec2 v) {
    uint at = 4u * k_chunk(page, args.n_kv, head, slot, element / CHUNK);
    if (KV_F32 != 0u) {
        k_words[at + element % CHUNK] = floatBitsToUint(v.x);
        k_words[at + element % CHUNK + 1u] = floatBitsToUint(v.y);
    } else {
        k_words[at + element % CHUNK / 2u] = pack_halves(v);
    }
}

void store_v(uint page, uint head, uint slot, uint element, vec2 v) {
    uint at = 4u * v_chunk(page, args.n_kv, head, slot, element / CHUNK);
    if (KV_F32 != 0u) {
        v_words[at + element % CHUNK] = floatBitsToUint(v.x);
        v_words[at + element % CHUNK + 1u] = floatBitsToUint(v.y);
    } else {
        v_words[at + element % CHUNK / 2u] = pack_halves(v);
    }
}

// Zeros behind a head of 4 dimensions too few for its last chunk; by one invocation, since the smallest
// head has no more.
void store_padding(bool is_v, uint page, uint head, uint slot) {
    if (HEAD_DIM % CHUNK == 0u || gl_LocalInvocationID.x > 0u) return;
    for (uint element = HEAD_DIM; element < HEAD_DIM + 4u; element += 2u) {
        if (is_v) store_v(page, head, slot, element, vec2(0.0));
        else store_k(page, head, slot, element, vec2(0.0));
    }
}

void main() {
    uint i = gl_LocalInvocationID.x, row = gl_WorkGroupID.y;
    uint at_row = PD_STEP_ROWS + 4u * row;
    uint position = step_words[at_row + 1u], seq = step_words[at_row + 2u];
    uint head = gl_WorkGroupID.x; // q heads, then k heads, then v heads of this dispatch
    bool is_q = head < args.n_q;
    uint kv = is_q ? 0u : (head - args.n_q) % args.n_kv;
    bool is_v = head >= args.n_q + args.n_kv;
    uint source = is_q ? head : args.n_heads + args.kv_first + kv + (is_v ? args.n_kv_heads : 0u);

    uint from = (row * (args.n_heads + 2u * args.n_kv_heads) + source) * HALF;
    vec2 lo = vec2(0.0), hi = vec2(0.0);
    if (i < PAIRS) {
        lo = qkv[from + i];
        hi = qkv[from + PAIRS + i];
    }
    float inv = 0.0;
    if (PLAIN == 0u)
        inv = inversesqrt(workgroup_sum(dot(lo, lo) + dot(hi, hi)) / float(HEAD_DIM) + args.eps);
    if (i >= PAIRS) return;

    if (PLAIN == 0u && !is_v) {
        uint w = is_q ? 0u : HALF;
        lo *= inv * norm_weight[w + i];
        hi *= inv * norm_weight[w + PAIRS + i];
        vec2 r0 = rotation(position, 2u * i), r1 = rotation(position, 2u * i + 1u);
        vec2 c = vec2(r0.x, r1.x), s = vec2(r0.y, r1.y);
        vec2 turned = lo * c - hi * s;
        hi = hi * c + lo * s;
        lo = turned;
    }
    if (is_q) {
        uint to = (row * args.n_heads + head) * HALF;
        q[to + i] = lo * args.q_scale;
        q[to + PAIRS + i] = hi * args.q_scale;
        return;
    }
    uint page = step_words[args.table_at + seq * args.table_stride + position / PD_SHADER_PAGE];
    uint slot = position % PD_SHADER_PAGE;
    store_padding(is_v, page, kv, slot);
    if (is_v) {
        store_v(page, kv, slot, 2u * i, lo);
        store_v(page, kv, slot, HALF + 2u * i, hi);
    } else {
        store_k(page, kv, slot, 2u * i, lo);
        store_k(page, kv, slot, HALF + 2u * i, hi);
    }
}
