// attention: softmax(q K^T) V over the pages of a sequence, with an online softmax.
//
// One workgroup: a tile of consecutive rows of one sequence x HEADS query heads that share a KV head
// (TQ = TILE_ROWS * HEADS queries), over one split of the visible pages. Per page of 64 positions:
//
//     scores   an invocation has SLOTS positions and every K_PARTS-th 16-byte chunk of K
//     softmax  8 invocations per query: new maximum, correction of what was summed, weights
//     values   an invocation has 4 dimensions and every V_PARTS-th position of V
//
// each for TL = TQ / Q_PARTS of the queries: many queries are shared out, so that their sums fit in
// few registers; a few are not, so that K and V are read once.
//
// Visible: position < end of the row, and within the window. The bounds are computed; pages outside
// are never read. With n_splits > 1, unnormalised sums go to `partial`, and the split that finishes
// last merges them (MERGE), unless attention_merge does.
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
layout(constant_id = 5) const uint Q_PARTS = 1; // divides TQ and WG / 64
layout(constant_id = 6) const uint MERGE = 0;
layout(constant_id = 7) const uint YTYPE = PD_ACT_F32; // I16: HEAD_DIM is a multiple of 32
layout(constant_id = 8) const uint SLOTS = 1; // positions of an invocation: a query read once serves them all

layout(std430, binding = 0) readonly buffer Step { uint step_words[]; };
layout(std430, binding = 1) readonly buffer Q { vec4 q[]; };        // [rows][heads][hd / 4]
#define STORE_BINDING 2 // [rows][out_stride4]
layout(std430, binding = 3) readonly buffer K { uvec4 k_chunks[]; };
layout(std430, binding = 4) readonly buffer V { uvec2 v_pairs[]; }; // 8 bytes: half a chunk
layout(std430, binding = 5) coherent buffer Partial { vec4 partial[]; }; // [rows][heads][splits][hd / 4 + 1]
layout(std430, binding = 6) coherent buffer Arrived { uint arrived[]; }; // [tiles][KV heads][head groups], 0 between runs
layout(push_constant) uniform Push { pd_args_attention args; };

#include "pages.glsl"
#include "store.glsl"

const uint TQ = TILE_ROWS * HEADS;
const uint QUADS = HEAD_DIM / 4u;
const uint Q_STRIDE = CHUNKS * CHUNK / 4u; // of a query in shared memory: as long as a key with its padding
const uint TL = TQ / Q_PARTS; // queries of an invocation
const uint K_LANES = PD_SHADER_PAGE / SLOTS; // invocations that have all positions of a page
const uint K_PARTS = WG / K_LANES / Q_PARTS;
const uint V_PARTS = WG / QUADS / Q_PARTS;
const uint IN_FLIGHT = TL * SLOTS > 4u ? 1u : 4u; // loads of an invocation; many queries need the registers
const float LOWEST = -3.0e38; // stands for "nothing seen yet"; never taken as a difference's left side

shared vec4 tile_q[TQ * Q_STRIDE];                  // later: sums of the V parts
shared float scores[K_PARTS * TQ * PD_SHADER_PAGE]; // then, in part 0: softmax weights
shared float lane_max[TQ * 8u], lane_sum[TQ * 8u];
shared float maximum[TQ], total[TQ], correction[TQ];
shared uint row_pos[TILE_ROWS], row_end[TILE_ROWS];

#include "merge.glsl"

struct Tile {
    uint first_row, n_rows, seq;
    uint kv, first_head;  // KV head in the slice; query head of query 0
    uint n_heads;         // query heads of this workgroup that exist
    uint first_page, last_page; // [first, last) of this split
    uint first_pos, last_pos;   // [first, last) visible to any row
};

bool query_exists(Tile t, uint i) { return i / HEADS < t.n_rows && i % HEADS < t.n_heads; }

// Where quad of query i's result goes.
uint output_at(Tile t, uint i, uint quad) {
    return (t.first_row + i / HEADS) * args.out_stride4 + (t.first_head + i % HEADS) * QUADS + quad;
}

uint query_index(Tile t, uint i) { // into [rows][heads]
    return (t.first_row + i / HEADS) * args.n_heads + t.first_head + i % HEADS;
}

Tile read_tile() {
    Tile t;
    uint at = args.tiles_at + 2u * (args.first_tile + gl_WorkGroupID.x);
    t.first_row = step_words[at];
    t.n_rows = step_words[at + 1u];
    uint row = PD_STEP_ROWS + 4u * t.first_row;
    t.seq = step_words[row + 2u];
    t.kv = gl_WorkGroupID.y / args.n_head_groups;
    uint head_in_group = gl_WorkGroupID.y % args.n_head_groups * HEADS;
    t.first_head = (args.kv_first + t.kv) * args.group + head_in_group;
    t.n_heads = min(HEADS, args.group - head_in_group);

    uint pos = step_words[row + 1u];
    // pd_window_first of plan/step.h
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
    for (uint i = gl_LocalInvocationID.x; i < TQ * Q_STRIDE; i += WG) {
        uint n = i / Q_STRIDE, quad = i % Q_STRIDE;
        bool exists = query_exists(t, n) && quad < QUADS;
        tile_q[i] = exists ? q[query_index(t, n) * QUADS + quad] : vec4(0.0);
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

// Values 4 i .. 4 i + 3 of a chunk of K.
vec4 k_quad(uvec4 raw, uint i) {
    if (KV_F32 != 0u) return uintBitsToFloat(raw);
    return i == 0u ? vec4(unpackHalf2x16(raw.x), unpackHalf2x16(raw.y))
                   : vec4(unpackHalf2x16(raw.z), unpackHalf2x16(raw.w));
}

uvec4 raw[IN_FLIGHT * SLOTS]; // chunks of this invocation's keys
float sums[TL * SLOTS];       // its scores: [query][position]

// The queries' products with chunk c of the keys, which is in place n of `raw`.
void add_scores(uint first, uint c, uint n) {
    [[unroll]] for (uint q4 = 0u; q4 < CHUNK / 4u; q4++) {
        vec4 k[SLOTS];
        [[unroll]] for (uint m = 0u; m < SLOTS; m++) k[m] = k_quad(raw[n * SLOTS + m], q4);
        [[unroll]] for (uint i = 0u; i < TL; i++) {
            vec4 query = tile_q[(first + i) * Q_STRIDE + CHUNK / 4u * c + q4];
            [[unroll]] for (uint m = 0u; m < SLOTS; m++) sums[i * SLOTS + m] += dot(query, k[m]);
        }
    }
}

void score_page(Tile t, uint page) {
    uint slot = gl_LocalInvocationID.x % K_LANES, part = gl_LocalInvocationID.x / K_LANES;
    uint first = part % Q_PARTS * TL;
    [[unroll]] for (uint i = 0u; i < TL * SLOTS; i++) sums[i] = 0.0;
    for (uint from = part / Q_PARTS; from < CHUNKS; from += K_PARTS * IN_FLIGHT) {
        [[unroll]] for (uint n = 0u; n < IN_FLIGHT; n++) {
            uint c = min(from + n * K_PARTS, CHUNKS - 1u);
            [[unroll]] for (uint m = 0u; m < SLOTS; m++)
                raw[n * SLOTS + m] = k_chunks[k_chunk(page, args.n_kv, t.kv, slot + m * K_LANES, c)];
        }
        [[unroll]] for (uint n = 0u; n < IN_FLIGHT; n++) {
            uint c = from + n * K_PARTS;
            if (c < CHUNKS) add_scores(first, c, n);
        }
    }
    [[unroll]] for (uint i = 0u; i < TL; i++)
        [[unroll]] for (uint m = 0u; m < SLOTS; m++)
            scores[(part / Q_PARTS * TQ + first + i) * PD_SHADER_PAGE + slot + m * K_LANES] = sums[i * SLOTS + m];
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
            for (uint part = 0u; part < K_PARTS; part++)
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

// Of query i's splits in `partial`.
uint partial_at(Tile t, uint i) { return query_index(t, i) * args.n_splits * (QUADS + 1u); }

shared bool is_last;

// Counts the splits of this tile that have written their sums; the last one finds all of them.
bool arrive(uint n_groups) {
    uint at = (args.first_tile + gl_WorkGroupID.x) * n_groups + args.kv_first * args.n_head_groups + gl_WorkGroupID.y;
    memoryBarrierBuffer();
    barrier();
    if (gl_LocalInvocationID.x == 0u) {
        is_last = atomicAdd(arrived[at], 1u) + 1u == args.n_splits;
        if (is_last) arrived[at] = 0u;
    }
    barrier();
    memoryBarrierBuffer();
    return is_last;
}

void store_merged(Tile t) {
    for (uint first = 0u; first < TQ * QUADS; first += WG) {
        uint i = (first + gl_LocalInvocationID.x) / QUADS, quad = (first + gl_LocalInvocationID.x) % QUADS;
        bool exists = i < TQ && query_exists(t, i);
        vec4 v = vec4(0.0);
        if (exists) v = merged(partial_at(t, i), args.n_splits, quad);
        store4(exists, output_at(t, i, quad), v);
    }
}

// Zeros behind the heads of the tile's rows, by the workgroup that has the last head.
void store_padding(Tile t) {
    uint end = args.n_heads * QUADS;
    if (YTYPE == PD_ACT_I16 || args.out_stride4 == end || t.first_head + t.n_heads != args.n_heads) return;
    uint n = args.out_stride4 - end;
    for (uint i = gl_LocalInvocationID.x; i < t.n_rows * n; i += WG)
        store4(true, (t.first_row + i / n) * args.out_stride4 + end + i % n, vec4(0.0));
}

vec4 acc[TL]; // of this invocation's queries, 4 dimensions

void add_values(Tile t, uint page, uint first_position, uint first, uint quad, uint part) {
    // slots outside the visible range may hold anything, NaN too: they are not touched
    uint begin = max(t.first_pos, first_position) - first_position;
    uint end = min(t.last_pos, first_position + PD_SHADER_PAGE) - first_position;
    for (uint from = begin + part; from < end; from += V_PARTS * IN_FLIGHT) {
        vec4 v[IN_FLIGHT];
        [[unroll]] for (uint n = 0u; n < IN_FLIGHT; n++)
            v[n] = load_v(t, page, min(from + n * V_PARTS, end - 1u), quad);
        [[unroll]] for (uint n = 0u; n < IN_FLIGHT; n++) {
            uint slot = from + n * V_PARTS;
            if (slot >= end) break;
            [[unroll]] for (uint i = 0u; i < TL; i++)
                acc[i] += scores[(first + i) * PD_SHADER_PAGE + slot] * v[n];
        }
    }
}

// The sums of the V parts meet in part 0.
void reduce_values(uint first, uint quad, uint part) {
    for (uint p = 1u; p < V_PARTS; p++) {
        if (part == p)
            [[unroll]] for (uint i = 0u; i < TL; i++) tile_q[(first + i) * QUADS + quad] = acc[i];
        barrier();
        if (part == 0u)
            [[unroll]] for (uint i = 0u; i < TL; i++) acc[i] += tile_q[(first + i) * QUADS + quad];
        barrier();
    }
}

void store_partial(Tile t, uint i, uint quad, vec4 v) {
    uint at = partial_at(t, i) + gl_WorkGroupID.z * (QUADS + 1u);
    partial[at + quad] = v;
    if (quad == 0u) partial[at + QUADS] = vec4(maximum[i], total[i], 0.0, 0.0);
}

void main() {
    Tile t = read_tile();
    load_queries(t);
    uint quad = gl_LocalInvocationID.x % QUADS, group = gl_LocalInvocationID.x / QUADS;
    uint first = group % Q_PARTS * TL, part = group / Q_PARTS;
    [[unroll]] for (uint i = 0u; i < TL; i++) acc[i] = vec4(0.0);
    barrier();

    uint table = args.table_at + t.seq * args.table_stride;
    for (uint n = t.first_page; n < t.last_page; n++) {
        uint page = step_words[table + n];
        score_page(t, page);
        barrier();
        soften_page(n * PD_SHADER_PAGE);
        [[unroll]] for (uint i = 0u; i < TL; i++) acc[i] *= correction[min(first + i, TQ - 1u)];
        if (part < V_PARTS) add_values(t, page, n * PD_SHADER_PAGE, first, quad, part);
        barrier();
    }
    reduce_values(first, quad, part);

    store_padding(t);
    bool stores = part == 0u, splits = args.n_splits > 1u;
    [[unroll]] for (uint i = 0u; i < TL; i++) {
        bool exists = stores && query_exists(t, first + i);
        if (!splits) store4(exists, output_at(t, first + i, quad), acc[i] / total[first + i]);
        else if (exists) store_partial(t, first + i, quad, acc[i]);
    }
    if (MERGE != 0u && splits && arrive(args.n_heads / args.group * args.n_head_groups)) store_merged(t);
}
