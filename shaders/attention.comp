// attention: softmax(q K^T) V over the pages of a sequence, with an online softmax.
//
// One workgroup: a tile of consecutive rows of one sequence x HEADS query heads that share a KV head
// (TQ = TILE_ROWS * HEADS queries), over one split of the visible pages. Per page of 64 positions:
//
//     scores   an invocation has one position and every PARTS-th 16-byte chunk of K, for all TQ queries
//     softmax  8 invocations per query: new maximum, correction of what was summed, weights
//     values   an invocation has 4 dimensions and every GROUPS-th position of V, for all TQ queries
//
// Visible: position < end of the row, and within the window. The bounds are computed; pages outside
// are never read. With n_splits > 1, unnormalised sums go to `partial` for attention_merge.
// SPDX-License-Identifier: MIT
#version 450
#extension GL_EXT_control_flow_attributes : require
#include "args.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 128; // multiple of 64, >= 8 * TQ
layout(constant_id = 1) const uint HEAD_DIM = 256;
layout(constant_id = 2) const uint KV_F32 = 0;
layout(constant_id = 3) const uint TILE_ROWS = 1;
layout(constant_id = 4) const uint HEADS = 1;

layout(std430, binding = 0) readonly buffer Step { uint step_words[]; };
layout(std430, binding = 1) readonly buffer Q { vec4 q[]; };        // [rows][heads][hd / 4]
layout(std430, binding = 2) writeonly buffer Out { vec4 o[]; };     // [rows][heads][hd / 4]
layout(std430, binding = 3) readonly buffer K { uvec4 k_chunks[]; };
layout(std430, binding = 4) readonly buffer V { uvec2 v_pairs[]; }; // 8 bytes: half a chunk
layout(std430, binding = 5) writeonly buffer Partial { vec4 partial[]; }; // [rows][heads][splits][hd / 4 + 1]
layout(push_constant) uniform Push { pd_args_attention args; };

#include "pages.glsl"

const uint TQ = TILE_ROWS * HEADS;
const uint QUADS = HEAD_DIM / 4u;
const uint PARTS = WG / PD_SHADER_PAGE;
const uint GROUPS = WG / QUADS;
const float LOWEST = -3.0e38; // stands for "nothing seen yet"; never taken as a difference's left side

shared vec4 tile_q[TQ * QUADS];                    // later: partial sums of the groups
shared float scores[PARTS * TQ * PD_SHADER_PAGE];  // then, in part 0: softmax weights
shared float lane_max[TQ * 8u], lane_sum[TQ * 8u];
shared float maximum[TQ], total[TQ], correction[TQ];
shared uint row_pos[TILE_ROWS], row_end[TILE_ROWS];

struct Tile {
    uint first_row, n_rows, seq;
    uint kv, first_head;  // KV head in the slice; query head of query 0
    uint n_heads;         // query heads of this workgroup that exist
    uint first_page, last_page; // [first, last) of this split
    uint first_pos, last_pos;   // [first, last) visible to any row
};

bool query_exists(Tile t, uint i) { return i / HEADS < t.n_rows && i % HEADS < t.n_heads; }

uint query_index(Tile t, uint i) { // into [rows][heads]
    return (t.first_row + i / HEADS) * args.n_heads + t.first_head + i % HEADS;
}

Tile read_tile() {
    Tile t;
    uint at = args.tiles_at + 2u * gl_WorkGroupID.x;
    t.first_row = step_words[at];
    t.n_rows = step_words[at + 1u];
    uint row = PD_STEP_ROWS + 4u * t.first_row;
    t.seq = step_words[row + 2u];
    t.kv = gl_WorkGroupID.y / args.n_head_groups;
    uint head_in_group = gl_WorkGroupID.y % args.n_head_groups * HEADS;
    t.first_head = (args.kv_first + t.kv) * args.group + head_in_group;
    t.n_heads = min(HEADS, args.group - head_in_group);

    uint pos = step_words[row + 1u];
    t.first_pos = args.window != 0u && pos + 1u > args.window ? pos + 1u - args.window : 0u;
    t.last_pos = 0u;
    for (uint r = 0u; r < t.n_rows; r++) t.last_pos = max(t.last_pos, step_words[row + 4u * r + 3u]);

    uint first = t.first_pos / PD_SHADER_PAGE;
    uint last = (t.last_pos + PD_SHADER_PAGE - 1u) / PD_SHADER_PAGE;
    uint per_split = (last - first + args.n_splits - 1u) / args.n_splits;
    t.first_page = min(first + gl_WorkGroupID.z * per_split, last);
    t.last_page = min(t.first_page + per_split, last);
    return t;
}

void load_queries(Tile t) {
    for (uint i = gl_LocalInvocationID.x; i < TQ * QUADS; i += WG) {
        uint n = i / QUADS;
        tile_q[i] = query_exists(t, n) ? q[query_index(t, n) * QUADS + i % QUADS] : vec4(0.0);
    }
    uint i = gl_LocalInvocationID.x;
    if (i < TQ) {
        maximum[i] = LOWEST;
        total[i] = 0.0;
    }
    if (i < TILE_ROWS) {
        uint row = PD_STEP_ROWS + 4u * (t.first_row + min(i, t.n_rows - 1u));
        row_pos[i] = step_words[row + 1u];
        row_end[i] = step_words[row + 3u];
    }
}

void score_page(Tile t, uint page) {
    uint slot = gl_LocalInvocationID.x % PD_SHADER_PAGE, part = gl_LocalInvocationID.x / PD_SHADER_PAGE;
    float s[TQ];
    [[unroll]] for (uint i = 0u; i < TQ; i++) s[i] = 0.0;
    for (uint c = part; c < CHUNKS; c += PARTS) {
        uvec4 raw = k_chunks[k_chunk(page, args.n_kv, t.kv, slot, c)];
        if (KV_F32 != 0u) {
            vec4 k0 = uintBitsToFloat(raw);
            [[unroll]] for (uint i = 0u; i < TQ; i++) s[i] += dot(tile_q[i * QUADS + c], k0);
        } else {
            vec4 k0 = vec4(unpackHalf2x16(raw.x), unpackHalf2x16(raw.y));
            vec4 k1 = vec4(unpackHalf2x16(raw.z), unpackHalf2x16(raw.w));
            [[unroll]] for (uint i = 0u; i < TQ; i++)
                s[i] += dot(tile_q[i * QUADS + 2u * c], k0) + dot(tile_q[i * QUADS + 2u * c + 1u], k1);
        }
    }
    [[unroll]] for (uint i = 0u; i < TQ; i++)
        scores[(part * TQ + i) * PD_SHADER_PAGE + slot] = s[i];
}

// Turns the page's scores into weights relative to the new maximum. All invocations call it.
void soften_page(uint first_position) {
    uint i = gl_LocalInvocationID.x / 8u, lane = gl_LocalInvocationID.x % 8u;
    bool works = i < TQ;
    float v[PD_SHADER_PAGE / 8u];
    float top = LOWEST;
    if (works) {
        uint pos = row_pos[i / HEADS], end = row_end[i / HEADS];
        for (uint n = 0u; n < PD_SHADER_PAGE / 8u; n++) {
            uint slot = lane + 8u * n, p = first_position + slot;
            bool visible = p < end && (args.window == 0u || p + args.window > pos);
            float s = 0.0;
            for (uint part = 0u; part < PARTS; part++)
                s += scores[(part * TQ + i) * PD_SHADER_PAGE + slot];
            v[n] = visible ? s : LOWEST;
            top = max(top, v[n]);
        }
        lane_max[i * 8u + lane] = top;
    }
    barrier();
    float old = LOWEST, sum = 0.0;
    if (works) {
        old = maximum[i];
        top = old;
        for (uint n = 0u; n < 8u; n++) top = max(top, lane_max[i * 8u + n]);
        for (uint n = 0u; n < PD_SHADER_PAGE / 8u; n++) {
            float w = v[n] == LOWEST ? 0.0 : exp(v[n] - top);
            scores[i * PD_SHADER_PAGE + lane + 8u * n] = w;
            sum += w;
        }
        lane_sum[i * 8u + lane] = sum;
    }
    barrier();
    if (works && lane == 0u) {
        sum = 0.0;
        for (uint n = 0u; n < 8u; n++) sum += lane_sum[i * 8u + n];
        float c = old == LOWEST ? 0.0 : exp(old - top);
        correction[i] = c;
        total[i] = total[i] * c + sum;
        maximum[i] = top;
    }
    barrier();
}

vec4 load_v(Tile t, uint page, uint slot, uint quad) {
    if (KV_F32 != 0u) {
        uint at = 2u * v_chunk(page, args.n_kv, t.kv, slot, quad);
        return uintBitsToFloat(uvec4(v_pairs[at], v_pairs[at + 1u]));
    }
    uvec2 raw = v_pairs[2u * v_chunk(page, args.n_kv, t.kv, slot, quad / 2u) + (quad & 1u)];
    return vec4(unpackHalf2x16(raw.x), unpackHalf2x16(raw.y));
}

void main() {
    Tile t = read_tile();
    load_queries(t);
    uint quad = gl_LocalInvocationID.x % QUADS, group = gl_LocalInvocationID.x / QUADS;
    vec4 acc[TQ];
    [[unroll]] for (uint i = 0u; i < TQ; i++) acc[i] = vec4(0.0);
    barrier();

    uint table = args.table_at + t.seq * args.table_stride;
    for (uint n = t.first_page; n < t.last_page; n++) {
        uint page = step_words[table + n], first = n * PD_SHADER_PAGE;
        score_page(t, page);
        barrier();
        soften_page(first);
        [[unroll]] for (uint i = 0u; i < TQ; i++) acc[i] *= correction[i];
        // slots outside the visible range may hold anything, NaN too: they are not touched
        uint begin = max(t.first_pos, first) - first;
        uint end = min(t.last_pos, first + PD_SHADER_PAGE) - first;
        if (group < GROUPS)
            for (uint slot = begin + group; slot < end; slot += GROUPS) {
                vec4 v = load_v(t, page, slot, quad);
                [[unroll]] for (uint i = 0u; i < TQ; i++)
                    acc[i] += scores[i * PD_SHADER_PAGE + slot] * v;
            }
        barrier();
    }

    for (uint g = 1u; g < GROUPS; g++) { // the groups' sums meet in group 0
        if (group == g)
            [[unroll]] for (uint i = 0u; i < TQ; i++) tile_q[i * QUADS + quad] = acc[i];
        barrier();
        if (group == 0u)
            [[unroll]] for (uint i = 0u; i < TQ; i++) acc[i] += tile_q[i * QUADS + quad];
        barrier();
    }
    if (group != 0u) return;
    [[unroll]] for (uint i = 0u; i < TQ; i++) {
        if (!query_exists(t, i)) continue;
        if (args.n_splits == 1u) {
            o[query_index(t, i) * QUADS + quad] = acc[i] / total[i];
        } else {
            uint at = (query_index(t, i) * args.n_splits + gl_WorkGroupID.z) * (QUADS + 1u);
            partial[at + quad] = acc[i];
            if (quad == 0u) partial[at + QUADS] = vec4(maximum[i], total[i], 0.0, 0.0);
        }
    }
}
