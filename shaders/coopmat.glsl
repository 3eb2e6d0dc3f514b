// The few things that matmul_coopmat does with matrices, behind names of its own, twice:
//
//   - as cooperative matrices of a subgroup. They are written with GL_NV_cooperative_matrix, which
//     glslang has known since 2019; coopmat_rewrite.c turns the SPIR-V into what
//     VK_KHR_cooperative_matrix asks for. There a type says whether it is A, B or C, here it does not:
//     so A, B and C have dimensions of their own, although A_M = C_M, A_K = B_K, B_N = C_N, and
//     their types stay apart.
//   - with PD_COOPMAT_TWIN in plain GLSL, for devices without matrix units: an A or B is its place in
//     shared memory, and of a C each lane holds every SUBGROUP-th element, column by column. It shows
//     that tiles, strides and tails are right where no matrix unit is; it is not made to be fast. Most
//     of its loops stay loops, so that llvmpipe compiles it in reasonable time, but not the innermost:
//     llvmpipe ends every loop once an invocation has gone round 65535 times in all.
//
//     A [A_M][A_K]  f16, at mat_a[at], rows STRIDE apart
//     B [B_K][B_N]  f16, at mat_b[at], columns STRIDE apart
//     C [C_M][C_N]  f32, to mat_c[at], columns C_M apart; numbered, of MAT_SUMS in each subgroup
//
// Places and strides of A and B are in uvec4 (8 halves) and those of C in floats. The includer
// declares SUBGROUP, STRIDE, MAT_SUMS, A_M to C_N and the shared arrays. SPDX-License-Identifier: MIT

#ifdef PD_COOPMAT_TWIN

#define UNROLL [[dont_unroll]]
#define MAT_HALVES(v) pack_halves(v)

const uint TWIN_LANE = C_M * C_N / SUBGROUP; // elements of a C in each lane
float twin_sums[MAT_SUMS * TWIN_LANE];

float half_of(uvec4 eight, uint i) {
    return unpackHalf2x16(eight[i / 2u])[i & 1u];
}

void twin_zero(uint c) {
    UNROLL for (uint e = 0u; e < TWIN_LANE; e++) twin_sums[c * TWIN_LANE + e] = 0.0;
}

void twin_mul_add(uint a, uint b, uint c) {
    UNROLL for (uint e = 0u; e < TWIN_LANE; e++) {
        uint i = e * SUBGROUP + gl_SubgroupInvocationID;
        uint row = a + i % C_M * STRIDE, column = b + i / C_M * STRIDE;
        float sum = 0.0;
        [[unroll]] for (uint k = 0u; k < A_K; k++)
            sum += half_of(mat_a[row + k / 8u], k & 7u) * half_of(mat_b[column + k / 8u], k & 7u);
        twin_sums[c * TWIN_LANE + e] += sum;
    }
}

void twin_store(uint c, uint at) {
    UNROLL for (uint e = 0u; e < TWIN_LANE; e++)
        mat_c[at + e * SUBGROUP + gl_SubgroupInvocationID] = twin_sums[c * TWIN_LANE + e];
}

#define MatA uint
#define MatB uint
#define MAT_DECLARE_C
#define MAT_ZERO_C(c) twin_zero(c)
#define MAT_LOAD_A(a, place) a = (place)
#define MAT_LOAD_B(b, place) b = (place)
#define MAT_MUL_ADD(a, b, c) twin_mul_add(a, b, c)
#define MAT_STORE_C(c, place) twin_store(c, place)

#elif defined(GL_KHR_cooperative_matrix)

#define UNROLL [[unroll]]
#define MAT_HALVES(v) packFloat2x16(f16vec2(v)) // a conversion, which rounds to the nearest

#define MatA coopmat<float16_t, gl_ScopeSubgroup, A_M, A_K, gl_MatrixUseA>
#define MatB coopmat<float16_t, gl_ScopeSubgroup, B_K, B_N, gl_MatrixUseB>
#define MatC coopmat<float, gl_ScopeSubgroup, C_M, C_N, gl_MatrixUseAccumulator>
#define MAT_DECLARE_C MatC mat_sums[MAT_SUMS];
#define MAT_ZERO_C(c) mat_sums[c] = MatC(0.0)
#define MAT_LOAD_A(a, place) coopMatLoad(a, mat_a, place, STRIDE, gl_CooperativeMatrixLayoutRowMajor)
#define MAT_LOAD_B(b, place) coopMatLoad(b, mat_b, place, STRIDE, gl_CooperativeMatrixLayoutColumnMajor)
#define MAT_MUL_ADD(a, b, c) mat_sums[c] = coopMatMulAdd(a, b, mat_sums[c])
#define MAT_STORE_C(c, place) coopMatStore(mat_sums[c], mat_c, place, C_M, gl_CooperativeMatrixLayoutColumnMajor)

#else // glslang 12: rewritten to the same by src/backend/vulkan/kernels/coopmat_rewrite.c

#define UNROLL [[unroll]]
#define MAT_HALVES(v) packFloat2x16(f16vec2(v))

#define MatA fcoopmatNV<16, gl_ScopeSubgroup, A_M, A_K>
#define MatB fcoopmatNV<16, gl_ScopeSubgroup, B_K, B_N>
#define MatC fcoopmatNV<32, gl_ScopeSubgroup, C_M, C_N>
#define MAT_DECLARE_C MatC mat_sums[MAT_SUMS];
#define MAT_ZERO_C(c) mat_sums[c] = MatC(0.0)
#define MAT_LOAD_A(a, place) coopMatLoadNV(a, mat_a, place, STRIDE, false)
#define MAT_LOAD_B(b, place) coopMatLoadNV(b, mat_b, place, STRIDE, true) // column by column
#define MAT_MUL_ADD(a, b, c) mat_sums[c] = coopMatMulAddNV(a, b, mat_sums[c])
#define MAT_STORE_C(c, place) coopMatStoreNV(mat_sums[c], mat_c, place, C_M, true)

#endif
