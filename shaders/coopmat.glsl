// The few things that matmul_coopmat does with matrices, behind names of its own, twice:
//
//   - as cooperative matrices of a subgroup. They are written with GL_NV_cooperative_matrix, which
//     glslang has known since 2019; coopmat_rewrite.c turns the SPIR-V into what
//     VK_KHR_cooperative_matrix asks for. There a type says whether it is A, B or C, here it does not:
//     so A, B and C have dimensions of their own, although A_M = C_M, A_K = B_K, B_N = C_N, and
//     their types stay apart.
//   - with PD_COOPMAT_TWIN in plain GLSL, for devices without matrix units: an A or B is its place in
//     shared memory, and of a C each lane holds every SUBGROUP-th element, column by column. It shows
//     that tiles, strides and tails are right where no matrix unit is; nobody would use it to be fast.
//
//     A [A_M][A_K]  f16, at mat_a[at], rows STRIDE apart
//     B [B_K][B_N]  f16, at mat_b[at], columns STRIDE apart
//     C [C_M][C_N]  f32, to mat_c[at], columns C_M apart
//
// Places and strides of A and B are in uvec4 (8 halves) and those of C in floats. The includer
// declares SUBGROUP, STRIDE, A_M to C_N and the shared arrays. SPDX-License-Identifier: MIT

#ifdef PD_COOPMAT_TWIN

struct MatA { uint at; };
struct MatB { uint at; };
struct MatC { float lane[64]; }; // C_M * C_N / SUBGROUP of them; SUBGROUP is 4 or more

float half_of(uvec4 eight, uint i) {
    return unpackHalf2x16(eight[i / 2u])[i & 1u];
}

MatC twin_zero() {
    MatC c;
    for (uint e = 0u; e < C_M * C_N / SUBGROUP; e++) c.lane[e] = 0.0;
    return c;
}

MatC twin_mul_add(MatA a, MatB b, MatC c) {
    for (uint e = 0u; e < C_M * C_N / SUBGROUP; e++) {
        uint i = e * SUBGROUP + gl_SubgroupInvocationID;
        uint row = a.at + i % C_M * STRIDE, column = b.at + i / C_M * STRIDE;
        for (uint k = 0u; k < A_K; k++)
            c.lane[e] += half_of(mat_a[row + k / 8u], k & 7u) * half_of(mat_b[column + k / 8u], k & 7u);
    }
    return c;
}

void twin_store(MatC c, uint at) {
    for (uint e = 0u; e < C_M * C_N / SUBGROUP; e++)
        mat_c[at + e * SUBGROUP + gl_SubgroupInvocationID] = c.lane[e];
}

#define MAT_ZERO_C() twin_zero()
#define MAT_LOAD_A(m, place) (m).at = (place)
#define MAT_LOAD_B(m, place) (m).at = (place)
#define MAT_MUL_ADD(a, b, c) twin_mul_add(a, b, c)
#define MAT_STORE_C(c, place) twin_store(c, place)

#else

#define MatA fcoopmatNV<16, gl_ScopeSubgroup, A_M, A_K>
#define MatB fcoopmatNV<16, gl_ScopeSubgroup, B_K, B_N>
#define MatC fcoopmatNV<32, gl_ScopeSubgroup, C_M, C_N>

#define MAT_ZERO_C() MatC(0.0)
#define MAT_LOAD_A(m, place) coopMatLoadNV(m, mat_a, place, STRIDE, false)
#define MAT_LOAD_B(m, place) coopMatLoadNV(m, mat_b, place, STRIDE, true) // column by column
#define MAT_MUL_ADD(a, b, c) coopMatMulAddNV(a, b, c)
#define MAT_STORE_C(c, place) coopMatStoreNV(c, mat_c, place, C_M, true)

#endif
