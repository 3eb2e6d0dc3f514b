// matvec: matrix times few columns (rows of x), for decoding. Bound by reading the weights once.
//
//     workgroup = WG / LANES row groups;  row group = LANES invocations along K, ROWS rows, COLS columns
//
// An invocation takes block b = lane, lane + LANES, ... of each of its ROWS rows (one 16-byte load
// each, in flight together), and every word of x that it reads serves all of them. The partial sums of
// the lanes meet in shared memory. With GEGLU, rows 2 i and 2 i + 1 are gate and up of output i. More
// than COLS columns are a matter of workgroups in z.
//
// The arithmetic comes from dot_f32, dot_f16 or dot_i16.glsl: a quad (4 values) of x and of a weight
// row, a partial sum over 16 values (mac), and what turns it into a float (scaled).
// SPDX-License-Identifier: MIT
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x_id = PD_WORKGROUP) in;
layout(constant_id = PD_WORKGROUP) const uint WG = 128;
layout(constant_id = PD_MATVEC_WTYPE) const uint WTYPE = PD_WEIGHT_Q4_0;
layout(constant_id = PD_MATVEC_LANES) const uint LANES = 16; // power of two
layout(constant_id = PD_MATVEC_ROWS) const uint ROWS = 4;   // even with GEGLU
layout(constant_id = PD_MATVEC_COLS) const uint COLS = 1;
layout(constant_id = PD_MATVEC_EPILOGUE) const uint EPILOGUE = PD_VK_EPILOGUE_NONE;
layout(constant_id = PD_MATVEC_XTYPE) const uint XTYPE = PD_ACT_F32;
layout(constant_id = PD_MATVEC_YTYPE) const uint YTYPE = PD_ACT_F32; // others: 32 outputs to a workgroup
layout(constant_id = PD_MATVEC_STEP) const uint STEP = 1;         // columns at a time: more take more registers

#include "product.glsl"
layout(std430, binding = PD_BIND_PRODUCT_PARTS) writeonly buffer Parts { uvec2 parts[]; }; // [cols][n_parts], see pd_args_sample

#if defined(DOT_F16)
#include "dot_f16.glsl"
#elif defined(DOT_I16)
#include "dot_i16.glsl"
#else
#include "dot_f32.glsl"
#endif

const uint GROUPS = WG / LANES;
const uint OUTS = IS_GEGLU ? ROWS / 2u : ROWS; // of a row group
const uint CELLS = ROWS * COLS;
const uint WG_OUTS = GROUPS * OUTS;
shared float sums[CELLS * WG]; // [row, col][group][lane]

const uint SPAN = WG / (COLS > 4u ? 8u : COLS > 2u ? 4u : COLS); // invocations that seek a column's best
const uint BEST_ROOM = EPILOGUE == PD_VK_EPILOGUE_BEST ? WG : 1u;
#include "best.glsl"

uint workgroup_index() { return gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x; }

float acc[CELLS]; // [row][col] of this invocation

// Values 16 h .. 16 h + 15 of blocks k of its rows, times those of block at[c] of columns first ..
// first + STEP - 1: few at a time, so that their loads do not take all registers.
void add_half_block(Block k[ROWS], uint at[COLS], uint h, uint first) {
    PART part[ROWS * STEP];
    OFFSET offset[STEP];
    [[unroll]] for (uint i = 0u; i < ROWS * STEP; i++) part[i] = PART(0.0);
    [[unroll]] for (uint c = 0u; c < STEP; c++) offset[c] = OFFSET(0.0);
    [[unroll]] for (uint j = 4u * h; j < 4u * h + 4u; j++) {
        X_QUAD xs[STEP];
        [[unroll]] for (uint c = 0u; c < STEP; c++) {
            if (first + c >= COLS) break;
            xs[c] = x_quad(at[first + c], j);
            offset[c] = add_offset(offset[c], xs[c]);
        }
        [[unroll]] for (uint r = 0u; r < ROWS; r++) {
            W_QUAD w = w_quad(k[r], j);
            [[unroll]] for (uint c = 0u; c < STEP; c++) part[r * STEP + c] = mac(part[r * STEP + c], w, xs[c]);
        }
    }
    [[unroll]] for (uint r = 0u; r < ROWS; r++)
        [[unroll]] for (uint c = 0u; c < STEP; c++) {
            if (first + c >= COLS) break;
            acc[r * COLS + first + c] += scaled(k[r], h, part[r * STEP + c], offset[c], at[first + c]);
        }
}

// The lanes' sums meet in lane 0's place.
void reduce(uint lane) {
    [[unroll]] for (uint i = 0u; i < CELLS; i++)
        sums[i * WG + gl_LocalInvocationID.x] = acc[i];
    barrier();
    for (uint n = LANES / 2u; n > 0u; n /= 2u) {
        if (lane < n)
            [[unroll]] for (uint i = 0u; i < CELLS; i++) {
                uint at = i * WG + gl_LocalInvocationID.x;
                sums[at] += sums[at + n];
            }
        barrier();
    }
}

// Output o of the workgroup (of WG_OUTS) in column c; its first one is the matrix' first_out-th.
float result(uint first_out, uint o, uint first_col, uint c) {
    uint group = o / OUTS, r = o % OUTS;
    if (first_out + o >= output_count()) return 0.0;
    if (!IS_GEGLU)
        return finished(sums[(r * COLS + c) * WG + group * LANES], first_out + o,
                        output_at(first_col + c, first_out + o));
    float gate = sums[(2u * r * COLS + c) * WG + group * LANES];
    float up = sums[((2u * r + 1u) * COLS + c) * WG + group * LANES];
    return gelu(gate) * up;
}

void store_values(uint first_out, uint end, uint first_col) {
    for (uint i = gl_LocalInvocationID.x; i < WG_OUTS * COLS; i += WG) {
        uint o = i % WG_OUTS, c = i / WG_OUTS;
        if (first_col + c < args.n_rows && first_out + o < end)
            y[output_at(first_col + c, first_out + o)] = result(first_out, o, first_col, c);
    }
}

// Whole blocks, for the next product: 8 invocations with 4 values each.
void store_blocks(uint first_out, uint end, uint first_col) {
    const uint QUADS = WG_OUTS / 4u;
    for (uint first = 0u; first < QUADS * COLS; first += WG) {
        uint i = first + gl_LocalInvocationID.x, o = 4u * (i % QUADS), c = i / QUADS;
        bool exists = i < QUADS * COLS && first_col + c < args.n_rows && first_out + o < end;
        vec4 v = vec4(0.0);
        if (exists)
            [[unroll]] for (uint e = 0u; e < 4u; e++) v[e] = result(first_out, o + e, first_col, c);
        store4(exists, output_at(first_col + c, first_out + o) / 4u, v);
    }
}

void store_best(uint first_out, uint first_col) {
    uint i = gl_LocalInvocationID.x, c = i / SPAN, end = output_count(), first_id = args.out_first + first_out;
    Best b = Best(0u, 0u, 0u);
    for (uint o = i % SPAN; o < WG_OUTS; o += SPAN)
        if (c < COLS && first_out + o < end) add_value(b, result(first_out, o, first_col, c), first_id + o);
    reduce_best(b);
    uint n_parts = (args.out_stride + WG_OUTS - 1u) / WG_OUTS;
    if (i % SPAN == 0u && c < COLS && first_col + c < args.n_rows && first_out < end)
        parts[(first_col + c) * n_parts + first_id / WG_OUTS] = best_record(i, WG_OUTS);
}

void main() {
    uint lane = gl_LocalInvocationID.x % LANES, first_col = gl_WorkGroupID.z * COLS;
    uint first_row = (workgroup_index() * GROUPS + gl_LocalInvocationID.x / LANES) * ROWS;
    [[unroll]] for (uint i = 0u; i < CELLS; i++) acc[i] = 0.0;

    for (uint b = lane; b < args.n_blocks; b += LANES) {
        Block k[ROWS];
        uint at[COLS];
        [[unroll]] for (uint r = 0u; r < ROWS; r++)
            k[r] = fetch_block(min(first_row + r, args.n_weight_rows - 1u), b, args.n_blocks);
        [[unroll]] for (uint c = 0u; c < COLS; c++)
            at[c] = min(first_col + c, args.n_rows - 1u) * args.n_blocks + b;
        [[unroll]] for (uint c = 0u; c < COLS; c += STEP) {
            add_half_block(k, at, 0u, c);
            add_half_block(k, at, 1u, c);
        }
    }
    reduce(lane);

    uint first_out = workgroup_index() * WG_OUTS, end = output_count() + args.n_zeros;
    if (YTYPE == PD_ACT_F32) store_values(first_out, end, first_col);
    else store_blocks(first_out, end, first_col);
    if (EPILOGUE == PD_VK_EPILOGUE_BEST) store_best(first_out, first_col);
}
