/* Which addresses belong to sites that everybody can reach.
 *
 * IPv4: what IANA's registry of special-purpose addresses does not take out (RFC 6890 and those
 * that it lists). IPv6: of the one block that is given to sites, 2000::/3, the same; so neither
 * loopback, link-local, unique local, site local nor multicast addresses, which lie outside of it.
 * Addresses that lead through a tunnel to one of IPv4 (6to4, Teredo) are refused whole: nobody
 * gives them to sites any more (RFC 7526).
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "base/memory.h"
#include "server/image_fetch.h"

typedef struct block {
    uint8_t bytes[6]; /* the first of it */
    uint32_t n_bits;
} block;

static const block blocked_v4[] = {
    {{0}, 8},                 /* "this network" */
    {{10}, 8},                /* private */
    {{100, 64}, 10},          /* carriers' inside (CGNAT) */
    {{127}, 8},               /* loopback */
    {{168, 63, 129, 16}, 32}, /* Azure's services for the machine itself */
    {{169, 254}, 16},         /* link-local; clouds' services for the machine itself */
    {{172, 16}, 12},          /* private */
    {{192, 0, 0}, 24},        /* protocols */
    {{192, 0, 2}, 24},        /* documentation */
    {{192, 31, 196}, 24},     /* AS112 */
    {{192, 52, 193}, 24},     /* AMT relays */
    {{192, 88, 99}, 24},      /* 6to4 relays */
    {{192, 168}, 16},         /* private */
    {{192, 175, 48}, 24},     /* AS112 */
    {{198, 18}, 15},          /* benchmarks */
    {{198, 51, 100}, 24},     /* documentation */
    {{203, 0, 113}, 24},      /* documentation */
    {{224}, 4},               /* multicast */
    {{240}, 4},               /* reserved, broadcast */
};

static const block sites_v6 = {{0x20}, 3};
static const block blocked_v6[] = {
    {{0x20, 0x01, 0x00}, 23},                   /* protocols: Teredo, ORCHID, benchmarks */
    {{0x20, 0x01, 0x0d, 0xb8}, 32},             /* documentation */
    {{0x20, 0x02}, 16},                         /* 6to4 */
    {{0x26, 0x20, 0x00, 0x4f, 0x80, 0x00}, 48}, /* AS112 */
    {{0x3f, 0xff, 0x00}, 20},                   /* documentation */
};

/* The last four of 16 bytes are an address of IPv4. */
static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};   /* ::ffff:a.b.c.d */
static const uint8_t translated[12] = {0x00, 0x64, 0xff, 0x9b}; /* 64:ff9b::a.b.c.d (NAT64) */

static bool same_bits(const uint8_t *a, const uint8_t *b, uint32_t n_bits) {
    uint32_t n = n_bits / 8, rest = n_bits % 8;
    if (memcmp(a, b, n) != 0) return false;
    return rest == 0 || ((a[n] ^ b[n]) >> (8 - rest)) == 0;
}

static bool is_in_any(const uint8_t *address, const block *blocks, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (same_bits(address, blocks[i].bytes, blocks[i].n_bits)) return true;
    return false;
}

static bool is_public_v4(const uint8_t a[4]) {
    return !is_in_any(a, blocked_v4, sizeof blocked_v4 / sizeof *blocked_v4);
}

static bool holds_v4(const uint8_t a[16]) {
    return memcmp(a, mapped, sizeof mapped) == 0 || memcmp(a, translated, sizeof translated) == 0;
}

static bool is_public_v6(const uint8_t a[16]) {
    if (holds_v4(a)) return is_public_v4(a + 12);
    return same_bits(a, sites_v6.bytes, sites_v6.n_bits) &&
           !is_in_any(a, blocked_v6, sizeof blocked_v6 / sizeof *blocked_v6);
}

bool srv_address_is_public(const struct sockaddr *address, size_t n) {
    size_t n_bytes;
    const uint8_t *a = pd_address_bytes(address, n, &n_bytes);
    return a && (n_bytes == 4 ? is_public_v4(a) : is_public_v6(a));
}

/* ---- the machine and its networks ------------------------------------------------------------ */

static bool is_same(const uint8_t *a, const uint8_t *b, const uint8_t *mask, size_t n) {
    for (size_t i = 0; i < n; i++)
        if ((a[i] ^ b[i]) & mask[i]) return false;
    return true;
}

/* The other end of a link that has one is as near. A mask of zeros is that of a tunnel to
 * everywhere, and says nothing. */
static bool is_in_network_of(const pd_network *i, const uint8_t *a, size_t n) {
    static const uint8_t none[16], all[16] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                              0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    if (i->n_bytes != n) return false;
    bool says = i->has_mask && memcmp(i->mask, none, n) != 0;
    return is_same(a, i->own, says ? i->mask : all, n) ||
           (i->has_other && is_same(a, i->other, all, n));
}

bool srv_address_is_near(const pd_network *list, uint32_t n_networks,
                         const struct sockaddr *address, size_t n) {
    size_t n_bytes;
    const uint8_t *a = pd_address_bytes(address, n, &n_bytes);
    if (n_bytes == 16 && holds_v4(a)) {
        a += 12;
        n_bytes = 4;
    }
    for (uint32_t i = 0; i < n_networks; i++)
        if (is_in_network_of(&list[i], a, n_bytes)) return true;
    return false;
}

bool srv_address_is_far(const struct sockaddr *address, size_t n) {
    uint32_t n_networks;
    pd_network *list;
    if (!srv_address_is_public(address, n) || !(list = pd_networks_list(&n_networks))) return false;
    bool is_near = srv_address_is_near(list, n_networks, address, n);
    pd_free(list);
    return !is_near;
}
