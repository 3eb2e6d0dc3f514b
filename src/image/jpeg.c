/* Walk over a JPEG (ITU T.81, annex B): marker segments up to and including EOI.
 *
 *     FF D8 | { FF marker, length u16 with itself, data } ... | FF D9
 *     behind an SOS segment: entropy-coded data; FF there is followed by 00 or a restart marker,
 *     or ends the data
 *
 * Only frames of 8 bits, baseline, extended or progressive, Huffman-coded, are decoded. stb_image
 * 2.27 writes behind its tables when a Huffman table defines too many codes, takes tables that were
 * never defined for zeros, and some files that end inside a scan pass for complete: hence the
 * checks of DHT, of what a scan refers to, and of EOI. Where the two could disagree about where a
 * segment starts, stb_image gives up with an error.
 *
 * SPDX-License-Identifier: MIT
 */
#include "image/formats.h"

#include <string.h>

enum {
    M_TEM = 0x01,
    M_SOF0 = 0xc0,
    M_SOF1,
    M_SOF2,
    M_DHT = 0xc4,
    M_JPG = 0xc8,
    M_DAC = 0xcc,
    M_SOF15 = 0xcf,
    M_RST0 = 0xd0,
    M_RST7 = 0xd7,
    M_SOI = 0xd8,
    M_EOI,
    M_SOS,
    M_DQT,
    M_APP1 = 0xe1,
};

/* A progressive image has about ten. Each is a pass over all of it, however few bytes it takes:
 * large images get fewer. */
enum { MAX_SCANS = 100 };
static const uint64_t max_scanned_pixels = UINT64_C(1) << 30;

static bool is_alone(uint8_t marker) {
    return marker == M_TEM || (marker >= M_RST0 && marker <= M_SOI);
}

static bool is_frame(uint8_t marker) {
    return marker >= M_SOF0 && marker <= M_SOF15 && marker != M_DHT && marker != M_JPG &&
           marker != M_DAC;
}

/* { name u8, sampling u8, quantisation table u8 } ...; stb_image refuses what else may be wrong */
static pd_status read_components(pd_picture *p, const uint8_t *data, size_t n, pd_error *err) {
    uint32_t count = data[5];
    if (count == 0 || count > 4 || n < 6 + 3 * (size_t)count)
        return PD_RAISE(err, PD_ERR_FORMAT, "the JPEG image is damaged: %u components", count);
    p->of.jpeg.n_components = count;
    for (uint32_t i = 0; i < count; i++) {
        p->of.jpeg.id[i] = data[6 + 3 * i];
        p->of.jpeg.table[i] = data[6 + 3 * i + 2];
    }
    return PD_OK;
}

/* Frame header: precision u8, height u16, width u16, components u8, ... */
static pd_status read_frame(pd_picture *p, uint8_t marker, const uint8_t *data, size_t n,
                            pd_error *err) {
    if (n < 6) return PD_RAISE(err, PD_ERR_FORMAT, "the JPEG image's frame header is too short");
    if (marker > M_SOF2)
        return PD_RAISE(err, PD_ERR_UNSUPPORTED,
                        "lossless, hierarchical and arithmetic-coded JPEG images are not read");
    if (data[0] != 8)
        return PD_RAISE(err, PD_ERR_UNSUPPORTED, "JPEG images of %u bits are not read", data[0]);
    if (p->width != 0) return PD_RAISE(err, PD_ERR_FORMAT, "the JPEG image has a second frame");
    p->height = pd_be16(data + 1);
    p->width = pd_be16(data + 3);
    if (p->height == 0)
        return PD_RAISE(err, PD_ERR_UNSUPPORTED, "JPEG images of undefined height are not read");
    if (p->width == 0) return PD_RAISE(err, PD_ERR_FORMAT, "the JPEG image has a width of 0");
    p->of.jpeg.progressive = marker == M_SOF2;
    return read_components(p, data, n, err);
}

/* Huffman tables: { class and slot u8, counts of codes of length 1..16, their symbols } ... */
static bool read_huffman_tables(pd_picture *p, const uint8_t *data, size_t n) {
    while (n > 0) {
        if (n < 17 || (data[0] & 0xef) > 3) return false;
        uint32_t codes = 0, free_codes = 1;
        for (int length = 1; length <= 16; length++) {
            free_codes *= 2;
            if (data[length] > free_codes) return false;
            free_codes -= data[length];
            codes += data[length];
        }
        if (codes > 256 || n - 17 < codes) return false;
        *(data[0] >> 4 ? &p->of.jpeg.ac : &p->of.jpeg.dc) |= 1u << (data[0] & 3);
        data += 17 + codes;
        n -= 17 + codes;
    }
    return true;
}

/* Quantisation tables: { bytes a value - 1 and slot u8, 64 values } ... */
static bool read_quantisers(pd_picture *p, const uint8_t *data, size_t n) {
    while (n > 0) {
        size_t bytes = 1 + 64 * (size_t)((data[0] >> 4) + 1);
        if ((data[0] & 0xef) > 3 || n < bytes) return false;
        p->of.jpeg.quantisers |= 1u << (data[0] & 3);
        data += bytes;
        n -= bytes;
    }
    return true;
}

/* Whether the tables of one component of a scan are there. `first`, `high`: of the scan, the first
 * coefficient, and nonzero where bits are added to what other scans began. */
static bool has_tables(const pd_picture *p, const uint8_t *component, uint8_t first, uint8_t high) {
    uint32_t i = 0, tables = component[1];
    while (i < p->of.jpeg.n_components && p->of.jpeg.id[i] != component[0]) i++;
    if (i == p->of.jpeg.n_components || p->of.jpeg.table[i] > 3) return false;
    bool needs_dc = first == 0 && high == 0, needs_ac = !p->of.jpeg.progressive || first > 0;
    return (p->of.jpeg.quantisers >> p->of.jpeg.table[i] & 1) &&
           (!needs_dc || p->of.jpeg.dc >> (tables >> 4) & 1) &&
           (!needs_ac || p->of.jpeg.ac >> (tables & 15) & 1);
}

/* Scan header: components u8, { name u8, tables u8 } ..., first u8, last u8, high and low bit u8 */
static pd_status read_scan(const pd_picture *p, const uint8_t *data, size_t n, pd_error *err) {
    if (p->width == 0)
        return PD_RAISE(err, PD_ERR_FORMAT, "the JPEG image is damaged: a scan without a frame");
    size_t count = n > 0 ? data[0] : 0;
    if (count == 0 || count > 4 || n < 1 + 2 * count + 3)
        return PD_RAISE(err, PD_ERR_FORMAT, "the JPEG image is damaged: a scan of nothing");
    const uint8_t *range = data + 1 + 2 * count;
    for (size_t i = 0; i < count; i++)
        if (!has_tables(p, data + 1 + 2 * i, range[0], range[2] >> 4))
            return PD_RAISE(err, PD_ERR_FORMAT,
                            "the JPEG image is damaged: a scan names a component or a table that "
                            "is not there");
    return PD_OK;
}

static pd_status read_segment(pd_picture *p, uint8_t marker, const uint8_t *data, size_t n,
                              pd_error *err) {
    if (is_frame(marker)) return read_frame(p, marker, data, n, err);
    if (marker == M_SOS) return read_scan(p, data, n, err);
    if (marker == M_DHT && !read_huffman_tables(p, data, n))
        return PD_RAISE(err, PD_ERR_FORMAT, "the JPEG image is damaged: impossible Huffman codes");
    if (marker == M_DQT && !read_quantisers(p, data, n))
        return PD_RAISE(err, PD_ERR_FORMAT, "the JPEG image is damaged: impossible quantisation");
    if (marker == M_APP1 && n >= 6 && memcmp(data, "Exif\0", 6) == 0 && p->orientation == 1)
        p->orientation = pd_exif_orientation(data + 6, n - 6);
    return PD_OK;
}

/* Offset of the marker that ends the entropy-coded data at `at`, or n. */
static size_t skip_entropy_coded(const uint8_t *bytes, size_t n, size_t at) {
    while (at < n) {
        const uint8_t *ff = memchr(bytes + at, 0xff, n - at);
        if (!ff) return n;
        at = (size_t)(ff - bytes);
        if (at + 1 >= n) return n;
        uint8_t next = bytes[at + 1];
        if (next == 0xff)
            at++;
        else if (next == 0 || (next >= M_RST0 && next <= M_RST7))
            at += 2;
        else
            return at;
    }
    return n;
}

/* Moves *at behind the next marker; false at the end. Stray bytes before it are passed over. */
static bool next_marker(const pd_picture *p, size_t *at, uint8_t *marker) {
    while (*at < p->n && p->bytes[*at] != 0xff) ++*at;
    while (*at < p->n && p->bytes[*at] == 0xff) ++*at;
    if (*at >= p->n) return false;
    *marker = p->bytes[(*at)++];
    return true;
}

pd_status pd_jpeg_inspect(pd_picture *p, pd_error *err) {
    size_t at = 2;
    uint8_t marker;
    uint32_t scans = 0;
    while (next_marker(p, &at, &marker)) {
        if (marker == M_EOI && scans == 0)
            return PD_RAISE(err, PD_ERR_FORMAT,
                            "the JPEG image is damaged: it ends before it began");
        if (marker == M_EOI) return PD_OK;
        if (is_alone(marker)) continue;
        if (p->n - at < 2) break;
        size_t n = pd_be16(p->bytes + at);
        if (n < 2)
            return PD_RAISE(err, PD_ERR_FORMAT, "the JPEG image is damaged: a segment of %zu bytes",
                            n);
        if (n > p->n - at) break;
        PD_TRY(read_segment(p, marker, p->bytes + at + 2, n - 2, err));
        at += n;
        if (marker != M_SOS) continue;
        if (++scans > MAX_SCANS || scans * (uint64_t)p->width * p->height > max_scanned_pixels)
            return PD_RAISE(err, PD_ERR_FORMAT, "the JPEG image has more than %u scans", scans - 1);
        at = skip_entropy_coded(p->bytes, p->n, at);
    }
    return pd_picture_cut_short(p, err);
}
