/* What is left of rows of logits after the filters, in the steps of pd_sampler_pick: for each line
 * of settings and each row, OUT gets a count and as many pairs of id and weight (uint32 all).
 *
 * SPDX-License-Identifier: MIT
 */
#include "tool.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/memory.h"
#include "plan/sample.h"
#include "sample/sampler.h"

typedef struct rows {
    float *logits; /* [n_rows][n_vocab] */
    uint32_t n_rows, n_vocab;
    pd_candidate *items; /* [n_vocab] */
} rows;

static uint32_t filter(const pd_sample_params *d, const float *logits, const rows *r) {
    bool sorted = d->k > 0 && d->k < r->n_vocab;
    uint32_t n = sorted ? pd_candidates_top_k(r->items, logits, r->n_vocab, NULL, d->k)
                        : pd_candidates_all(r->items, logits, r->n_vocab, NULL);
    uint32_t highest = 0;
    for (uint32_t i = 0; i < n; i++)
        if (r->items[i].key > highest) highest = r->items[i].key;
    pd_candidates_weigh(r->items, n, highest, d->scale);
    if (d->top_p)
        n = sorted ? pd_candidates_top_p(r->items, n, d->top_p)
                   : pd_candidates_sort_for_top_p(r->items, n, d->top_p);
    return pd_candidates_min_p(r->items, n, d->min_p);
}

static void write_row(const pd_candidate *items, uint32_t n, pd_file_writer *out) {
    pd_file_writer_write(out, &n, sizeof n);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t pair[] = {items[i].id, items[i].weight};
        pd_file_writer_write(out, pair, sizeof pair);
    }
}

static pd_status answer(const char *line, const rows *r, pd_file_writer *out, pd_error *err) {
    pd_sampler_desc desc = {0};
    pd_sampler s;
    pd_sample_params d;
    if (sscanf(line, "%f %u %f %f", &desc.temp, &desc.top_k, &desc.top_p, &desc.min_p) != 4)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "expected TEMP TOP_K TOP_P MIN_P, not %.60s", line);
    PD_TRY(pd_sampler_init(&s, &desc, err));
    pd_sampler_to_params(&s, &d);
    for (uint32_t i = 0; i < r->n_rows; i++)
        write_row(r->items, filter(&d, r->logits + (size_t)i * r->n_vocab, r), out);
    return PD_OK;
}

pd_status tool_weights(int argc, char **argv, pd_error *err) {
    (void)argc;
    static char line[TOOL_MAX_LINE];
    pd_file_writer out;
    rows r = {.n_vocab = (uint32_t)strtoul(argv[1], NULL, 10)};
    char *data;
    size_t n;
    PD_TRY(pd_file_read_all(argv[0], UINT64_C(1) << 32, &data, &n, err));
    r.logits = (void *)data;
    r.n_rows = (uint32_t)(n / sizeof(float) / r.n_vocab);
    r.items = pd_alloc(r.n_vocab, sizeof *r.items);
    PD_TRY(pd_file_writer_open(argv[2], &out, err));
    pd_status status = PD_OK;
    while (status == PD_OK && tool_read_line(line)) status = answer(line, &r, &out, err);
    if (status == PD_OK)
        status = pd_file_writer_commit(&out, err);
    else
        pd_file_writer_abort(&out);
    pd_free(r.items);
    pd_free(data);
    return status;
}
