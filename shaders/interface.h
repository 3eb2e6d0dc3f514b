/* The shaders' specialisation constants and bindings by name, for C and for GLSL.
 *
 * A shader's constants end with their number, PD_<SHADER>_CONSTANTS, its bindings with
 * PD_<SHADER>_BINDINGS; a test compares both with what its SPIR-V declares. MATVEC are those of
 * matvec.glsl, MATMUL of tile.glsl, COOPMAT of matmul_coopmat.glsl, PRODUCT the bindings of all
 * three.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_INTERFACE_H
#define PD_INTERFACE_H

#define PD_WORKGROUP 0 /* constant of every shader: the workgroup's size */

#define PD_MATVEC_WTYPE     1
#define PD_MATVEC_LANES     2
#define PD_MATVEC_ROWS      3
#define PD_MATVEC_COLS      4
#define PD_MATVEC_EPILOGUE  5
#define PD_MATVEC_XTYPE     6
#define PD_MATVEC_YTYPE     7
#define PD_MATVEC_STEP      8
#define PD_MATVEC_CONSTANTS 9

#define PD_MATMUL_WTYPE     1
#define PD_MATMUL_BM        2
#define PD_MATMUL_BN        3
#define PD_MATMUL_TM        4
#define PD_MATMUL_TN        5
#define PD_MATMUL_EPILOGUE  6
#define PD_MATMUL_XTYPE     7
#define PD_MATMUL_YTYPE     8
#define PD_MATMUL_CONSTANTS 9

#define PD_COOPMAT_WTYPE     1
#define PD_COOPMAT_BM        2
#define PD_COOPMAT_BN        3
#define PD_COOPMAT_WM        4
#define PD_COOPMAT_WN        5
#define PD_COOPMAT_EPILOGUE  6
#define PD_COOPMAT_STAGES    7
#define PD_COOPMAT_SUBGROUP  8
#define PD_COOPMAT_A_M       9
#define PD_COOPMAT_A_K       10
#define PD_COOPMAT_B_K       11
#define PD_COOPMAT_B_N       12
#define PD_COOPMAT_C_M       13
#define PD_COOPMAT_C_N       14
#define PD_COOPMAT_YTYPE     15
#define PD_COOPMAT_CONSTANTS 16

#define PD_BIND_PRODUCT_X        0
#define PD_BIND_PRODUCT_OUT      1
#define PD_BIND_PRODUCT_WEIGHT_Q 2
#define PD_BIND_PRODUCT_WEIGHT_S 3
#define PD_BIND_PRODUCT_WEIGHT_H 4
#define PD_BIND_PRODUCT_BIAS     5
#define PD_BIND_PRODUCT_PARTS    6 /* matvec alone */
#define PD_MATMUL_BINDINGS       6
#define PD_COOPMAT_BINDINGS      6
#define PD_MATVEC_BINDINGS       7

#define PD_ATTENTION_HEAD_DIM  1
#define PD_ATTENTION_KV_F32    2
#define PD_ATTENTION_TILE_ROWS 3
#define PD_ATTENTION_HEADS     4
#define PD_ATTENTION_Q_PARTS   5
#define PD_ATTENTION_MERGE     6
#define PD_ATTENTION_YTYPE     7
#define PD_ATTENTION_SLOTS     8
#define PD_ATTENTION_CONSTANTS 9

#define PD_BIND_ATTENTION_STEP    0
#define PD_BIND_ATTENTION_Q       1
#define PD_BIND_ATTENTION_OUT     2
#define PD_BIND_ATTENTION_K       3
#define PD_BIND_ATTENTION_V       4
#define PD_BIND_ATTENTION_PARTIAL 5
#define PD_BIND_ATTENTION_ARRIVED 6
#define PD_ATTENTION_BINDINGS     7

#define PD_MERGE_HEAD_DIM  1
#define PD_MERGE_YTYPE     2
#define PD_MERGE_CONSTANTS 3

#define PD_BIND_MERGE_PARTIAL 0
#define PD_BIND_MERGE_OUT     1
#define PD_MERGE_BINDINGS     2

#define PD_ROPE_HEAD_DIM  1
#define PD_ROPE_KV_F32    2
#define PD_ROPE_PLAIN     3
#define PD_ROPE_CONSTANTS 4

#define PD_BIND_ROPE_STEP  0
#define PD_BIND_ROPE_QKV   1
#define PD_BIND_ROPE_Q     2
#define PD_BIND_ROPE_K     3
#define PD_BIND_ROPE_V     4
#define PD_BIND_ROPE_NORMS 5
#define PD_BIND_ROPE_TURNS 6
#define PD_ROPE_BINDINGS   7

#define PD_NORM_ITEMS     1
#define PD_NORM_RESIDUAL  2
#define PD_NORM_YTYPE     3
#define PD_NORM_CONSTANTS 4

#define PD_BIND_NORM_X        0
#define PD_BIND_NORM_RESIDUAL 1
#define PD_BIND_NORM_OUT      2
#define PD_BIND_NORM_POST     3
#define PD_BIND_NORM_WEIGHT   4
#define PD_NORM_BINDINGS      5

#define PD_LAYERNORM_ITEMS     1
#define PD_LAYERNORM_YTYPE     2
#define PD_LAYERNORM_CONSTANTS 3

#define PD_BIND_LAYERNORM_X      0
#define PD_BIND_LAYERNORM_OUT    1
#define PD_BIND_LAYERNORM_WEIGHT 2
#define PD_BIND_LAYERNORM_BIAS   3
#define PD_LAYERNORM_BINDINGS    4

#define PD_POOL_NORM_ITEMS     1
#define PD_POOL_NORM_YTYPE     2
#define PD_POOL_NORM_CONSTANTS 3

#define PD_BIND_POOL_NORM_X      0
#define PD_BIND_POOL_NORM_OUT    1
#define PD_BIND_POOL_NORM_WEIGHT 2
#define PD_POOL_NORM_BINDINGS    3

#define PD_EMBED_WTYPE     1
#define PD_EMBED_CONSTANTS 2

#define PD_BIND_EMBED_STEP       0
#define PD_BIND_EMBED_OUT        1
#define PD_BIND_EMBED_WEIGHT_Q   2
#define PD_BIND_EMBED_WEIGHT_S   3
#define PD_BIND_EMBED_WEIGHT_H   4
#define PD_BIND_EMBED_EMBEDDINGS 5
#define PD_EMBED_BINDINGS        6

#define PD_GATHER_CONSTANTS 1

#define PD_BIND_GATHER_STEP 0
#define PD_BIND_GATHER_X    1
#define PD_BIND_GATHER_OUT  2
#define PD_GATHER_BINDINGS  3

#define PD_SAMPLE_PARTS_PART      1
#define PD_SAMPLE_PARTS_SPAN      2
#define PD_SAMPLE_PARTS_CONSTANTS 3

#define PD_BIND_SAMPLE_PARTS_X     0
#define PD_BIND_SAMPLE_PARTS_PARTS 1
#define PD_SAMPLE_PARTS_BINDINGS   2

#define PD_SAMPLE_PART      1
#define PD_SAMPLE_CONSTANTS 2

#define PD_BIND_SAMPLE_PARTS 0
#define PD_BIND_SAMPLE_X     1
#define PD_BIND_SAMPLE_OUT   2
#define PD_BIND_SAMPLE_STATE 3
#define PD_BIND_SAMPLE_RING  4
#define PD_SAMPLE_BINDINGS   5

#define PD_LOG_PROB_CONSTANTS 1

#define PD_BIND_LOG_PROB_STEP 0
#define PD_BIND_LOG_PROB_X    1
#define PD_BIND_LOG_PROB_OUT  2
#define PD_LOG_PROB_BINDINGS  3

#define PD_REPACK_WTYPE     1
#define PD_REPACK_CONSTANTS 2

#define PD_BIND_REPACK_STORED   0
#define PD_BIND_REPACK_WEIGHT_Q 1
#define PD_BIND_REPACK_WEIGHT_S 2
#define PD_BIND_REPACK_WEIGHT_H 3
#define PD_REPACK_BINDINGS      4

#define PD_MEASURE_CONSTANTS 1

#define PD_BIND_MEASURE_COPY_FROM 0
#define PD_BIND_MEASURE_COPY_TO   1
#define PD_MEASURE_COPY_BINDINGS  2

#define PD_BIND_MEASURE_PEAK_OUT 0
#define PD_MEASURE_PEAK_BINDINGS 1

#endif
