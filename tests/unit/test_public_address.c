/* Which addresses a server asks for pictures: a table over every kind, and networks of a machine.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <string.h>

#include "base/memory.h"
#include "server/image_fetch.h"

typedef union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
} address;

/* Its length. */
static size_t parse(const char *text, address *out) {
    memset(out, 0, sizeof *out);
    if (pd_address_parse_v4(text, (uint8_t *)&out->v4.sin_addr)) {
        out->any.sa_family = AF_INET;
        return sizeof out->v4;
    }
    if (!pd_address_parse_v6(text, (uint8_t *)&out->v6.sin6_addr))
        fail_msg("%s is no address", text);
    out->any.sa_family = AF_INET6;
    return sizeof out->v6;
}

/* ---- kinds ---------------------------------------------------------------------------------- */

/* What lies just outside of a block is there as well as its first and its last address. */
static const char *const public[] = {
    "1.0.0.0",
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "151.101.1.69",
    "168.63.129.15",
    "168.63.129.17",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "191.255.255.255",
    "192.0.1.0",
    "192.0.3.0",
    "192.88.98.255",
    "192.88.100.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "198.51.99.255",
    "198.51.101.0",
    "203.0.112.255",
    "203.0.114.0",
    "223.255.255.255",
    "2000::",
    "2001:200::1",
    "2001:4860:4860::8888",
    "2001:db7:ffff::",
    "2001:db9::",
    "2003::1",
    "2606:4700:4700::1111",
    "2a00:1450:4001:82a::200e",
    "3ffe:ffff::",
    "3fff:1000::",
    "2620:4f:8001::",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
    "64:ff9b::101:101",
};

static const char *const refused[] = {
    /* this network, private, shared */
    "0.0.0.0",
    "0.0.0.1",
    "0.255.255.255",
    "10.0.0.0",
    "10.1.2.3",
    "10.255.255.255",
    "100.64.0.0",
    "100.100.100.200",
    "100.127.255.255",
    "172.16.0.0",
    "172.17.0.1",
    "172.31.255.255",
    "192.168.0.0",
    "192.168.1.1",
    "192.168.255.255",
    /* loopback, link-local, clouds' inside */
    "127.0.0.0",
    "127.0.0.1",
    "127.1.2.3",
    "127.255.255.255",
    "169.254.0.0",
    "169.254.169.254",
    "169.254.255.255",
    "168.63.129.16",
    "192.0.0.0",
    "192.0.0.192",
    "192.0.0.255",
    /* documentation, benchmarks, relays */
    "192.0.2.0",
    "192.0.2.255",
    "192.31.196.1",
    "192.52.193.1",
    "192.88.99.0",
    "192.88.99.255",
    "192.175.48.1",
    "198.18.0.0",
    "198.19.255.255",
    "198.51.100.0",
    "198.51.100.255",
    "203.0.113.0",
    "203.0.113.255",
    /* multicast, reserved, broadcast */
    "224.0.0.0",
    "224.0.0.251",
    "239.255.255.255",
    "240.0.0.0",
    "255.255.255.254",
    "255.255.255.255",
    /* unspecified, loopback, IPv4 in ways that are none any more */
    "::",
    "::1",
    "::2",
    "::8.8.8.8",
    "::127.0.0.1",
    "::ffff:0:8.8.8.8",
    "::ffff:0:127.0.0.1",
    "::fffe:8.8.8.8",
    /* IPv4 that is mapped or translated, of a refused kind */
    "::ffff:0.0.0.0",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:192.168.1.1",
    "::ffff:100.64.0.1",
    "::ffff:224.0.0.1",
    "::ffff:255.255.255.255",
    "64:ff9b::127.0.0.1",
    "64:ff9b::10.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b::100.64.0.1",
    "64:ff9b::1:0:808:808",
    "64:ff9b:1::8.8.8.8",
    "64:ff9b:1::10.0.0.1",
    /* below and above the block of sites; discard, unique local, link-local, site local, multicast
     */
    "1fff:ffff::",
    "100::1",
    "4000::",
    "5f00::1",
    "fc00::",
    "fd12:3456::1",
    "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "fe80::",
    "fe80::1",
    "febf::1",
    "fec0::1",
    "feff::1",
    "ff00::",
    "ff02::1",
    "ff0e::1",
    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    /* in the block: protocols, Teredo, documentation, 6to4 to anywhere */
    "2001::",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:0:808:808::f7f7:f7f7",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:1ff:ffff::",
    "2001:db8::",
    "2001:db8:ffff::1",
    "2002::",
    "2002:7f00:1::1",
    "2002:a00:1::",
    "2002:c0a8:101::1",
    "2002:808:808::1",
    "2620:4f:8000::1",
    "3fff::1",
    "3fff:fff:ffff::",
};

static void expect(const char *const *list, size_t n, bool is_public) {
    for (size_t i = 0; i < n; i++) {
        address a;
        size_t length = parse(list[i], &a);
        if (srv_address_is_public(&a.any, length) != is_public)
            fail_msg("%s is said %sto be public", list[i], is_public ? "not " : "");
        if (!is_public && srv_address_is_far(&a.any, length)) fail_msg("%s is said far", list[i]);
    }
}

static void kinds_of_addresses(void **state) {
    (void)state;
    expect(public, sizeof public / sizeof *public, true);
    expect(refused, sizeof refused / sizeof *refused, false);
}

/* Every address of IPv4 that is public is so in both forms of IPv6, and no other. */
static void forms_agree(void **state) {
    (void)state;
    for (uint32_t i = 0; i < 1u << 20; i++) {
        uint32_t bits = htonl(i * 4099u); /* odd: all of IPv4 in steps */
        address v4 = {.v4 = {.sin_family = AF_INET}}, v6 = {.v6 = {.sin6_family = AF_INET6}};
        uint8_t *bytes = v6.v6.sin6_addr.s6_addr;
        memcpy(&v4.v4.sin_addr, &bits, 4);
        memcpy(bytes + 12, &bits, 4);
        bool is_public = srv_address_is_public(&v4.any, sizeof v4.v4);
        assert_false(srv_address_is_public(&v6.any, sizeof v6.v6)); /* ::a.b.c.d */
        bytes[10] = bytes[11] = 0xff;
        assert_int_equal(srv_address_is_public(&v6.any, sizeof v6.v6), is_public);
        memcpy(bytes, "\x00\x64\xff\x9b\x00\x00\x00\x00\x00\x00\x00\x00", 12);
        assert_int_equal(srv_address_is_public(&v6.any, sizeof v6.v6), is_public);
    }
}

static void other_families_are_refused(void **state) {
    (void)state;
    address a;
    struct sockaddr_storage path = {.ss_family = AF_UNIX};
    assert_false(srv_address_is_public((const struct sockaddr *)&path, sizeof path));
    assert_false(srv_address_is_public(NULL, 0));
    size_t n = parse("8.8.8.8", &a);
    assert_true(srv_address_is_public(&a.any, n));
    assert_false(srv_address_is_public(&a.any, n - 1));
    n = parse("2606:4700:4700::1111", &a);
    assert_true(srv_address_is_public(&a.any, n));
    assert_false(srv_address_is_public(&a.any, n - 1));
    a.any.sa_family = AF_UNSPEC;
    assert_false(srv_address_is_public(&a.any, n));
}

/* ---- networks ------------------------------------------------------------------------------- */

typedef struct network {
    const char *own, *mask, *other; /* other: the far end of a link, or NULL */
} network;

static bool is_near(const network *networks, size_t n, const char *text) {
    pd_network list[9] = {{.n_bytes = 0}}; /* without an address */
    address a, at;
    assert_true(n <= 8);
    for (size_t i = 0; i < n; i++) {
        const network *w = &networks[i];
        const char *const texts[] = {w->own, w->mask, w->other};
        uint8_t *const bytes[] = {list[i + 1].own, list[i + 1].mask, list[i + 1].other};
        for (int k = 0; k < 3; k++) {
            size_t n_bytes, length = texts[k] ? parse(texts[k], &at) : 0;
            const uint8_t *from = texts[k] ? pd_address_bytes(&at.any, length, &n_bytes) : NULL;
            if (!from) continue;
            memcpy(bytes[k], from, n_bytes);
            list[i + 1].n_bytes = (uint8_t)n_bytes;
        }
        list[i + 1].has_mask = w->mask;
        list[i + 1].has_other = w->other;
    }
    size_t length = parse(text, &a);
    return srv_address_is_near(list, (uint32_t)n + 1, &a.any, length);
}

static void a_machines_networks_are_near(void **state) {
    (void)state;
    static const network networks[] = {
        {"127.0.0.1", "255.0.0.0", NULL},
        {"93.184.216.34", "255.255.255.192", NULL},
        {"2a02:8100:1:2::5", "ffff:ffff:ffff:ffff::", NULL},
        {"45.1.1.1", "0.0.0.0", "45.9.9.9"}, /* a tunnel for everything */
        {"46.1.1.1", NULL, NULL},
    };
    static const char *const near_ones[] = {
        "93.184.216.34",      "93.184.216.1",
        "93.184.216.63",      "::ffff:93.184.216.35",
        "64:ff9b::5db8:d822", "2a02:8100:1:2::5",
        "2a02:8100:1:2::77",  "2a02:8100:1:2:ffff:ffff:ffff:ffff",
        "45.1.1.1",           "45.9.9.9",
        "46.1.1.1",           "127.9.9.9"};
    static const char *const far_ones[] = {
        "93.184.216.64",    "93.184.215.255",        "45.1.1.2",
        "46.1.1.2",         "::ffff:93.184.216.64",  "8.8.8.8",
        "2a02:8100:1:3::5", "2a02:8100:1:1:ffff::5", "2606:4700::1"};
    for (size_t i = 0; i < sizeof near_ones / sizeof *near_ones; i++)
        if (!is_near(networks, 5, near_ones[i]))
            fail_msg("%s is said not to be near", near_ones[i]);
    for (size_t i = 0; i < sizeof far_ones / sizeof *far_ones; i++)
        if (is_near(networks, 5, far_ones[i])) fail_msg("%s is said to be near", far_ones[i]);
}

/* This machine's own, whichever these are. */
static void own_addresses_are_not_far(void **state) {
    (void)state;
    uint32_t n;
    pd_network *list = pd_networks_list(&n);
    assert_non_null(list);
    for (uint32_t i = 0; i < n; i++) {
        address a = {.v4.sin_family = AF_INET};
        if (list[i].n_bytes == 4) memcpy(&a.v4.sin_addr, list[i].own, 4);
        if (list[i].n_bytes == 16) {
            a.v6 = (struct sockaddr_in6){.sin6_family = AF_INET6};
            memcpy(&a.v6.sin6_addr, list[i].own, 16);
        }
        assert_false(srv_address_is_far(&a.any, sizeof a));
        assert_true(srv_address_is_near(list, n, &a.any, sizeof a));
    }
    pd_free(list);
    if (n == 0) skip();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds_of_addresses),
        cmocka_unit_test(forms_agree),
        cmocka_unit_test(other_families_are_refused),
        cmocka_unit_test(a_machines_networks_are_near),
        cmocka_unit_test(own_addresses_are_not_far),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
