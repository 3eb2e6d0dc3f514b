/* Records that were written before, read again, and sorted by model.
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "cli/record/record.h"

enum { MAX_BYTES = 16 << 20 };

/* ---- one record ----------------------------------------------------------------------------- */

static const cJSON *member(const cJSON *j, const char *path) {
    char name[64];
    while (j && *path) {
        size_t n = strcspn(path, ".");
        snprintf(name, sizeof name, "%.*s", (int)n, path);
        j = cJSON_GetObjectItemCaseSensitive(j, name);
        path += path[n] ? n + 1 : n;
    }
    return j;
}

const char *record_text(const cJSON *j, const char *path) {
    const cJSON *m = member(j, path);
    return cJSON_IsString(m) ? m->valuestring : "";
}

double record_number(const cJSON *j, const char *path) {
    const cJSON *m = member(j, path);
    return cJSON_IsNumber(m) ? m->valuedouble : 0;
}

static bool has_text(const cJSON *j, const char *path) {
    return record_text(j, path)[0] != '\0';
}

/* What tables cannot do without. */
static bool is_whole(const cJSON *record) {
    bool whole = has_text(record, "device.name") && has_text(record, "precision") &&
                 cJSON_IsArray(member(record, "models"));
    const cJSON *model, *test;
    cJSON_ArrayForEach(model, member(record, "models")) {
        whole = whole && has_text(model, "preset") && has_text(model, "type") &&
                cJSON_IsArray(member(model, "tests"));
        cJSON_ArrayForEach(test, member(model, "tests")) {
            whole = whole && has_text(test, "test") &&
                    cJSON_IsNumber(member(test, "tokens_per_second"));
        }
    }
    return whole;
}

static pd_status check(const char *path, const cJSON *record, pd_error *err) {
    if (!record || strcmp(record_text(record, "record"), "peridot") != 0)
        return PD_RAISE(err, PD_ERR_FORMAT, "\"%s\" is not what peridot record writes", path);
    if (record_number(record, "schema") != (double)RECORD_SCHEMA)
        return PD_RAISE(err, PD_ERR_UNSUPPORTED, "\"%s\" is a record of schema %.0f, not %d", path,
                        record_number(record, "schema"), RECORD_SCHEMA);
    if (!is_whole(record))
        return PD_RAISE(
            err, PD_ERR_FORMAT,
            "\"%s\" is a record without all of device, precision, models and their tests", path);
    return PD_OK;
}

pd_status record_read(const char *path, cJSON **out, pd_error *err) {
    char *text;
    size_t n;
    PD_TRY(pd_file_read_all(path, MAX_BYTES, &text, &n, err));
    *out = cJSON_ParseWithLength(text, n);
    pd_free(text);
    pd_status status = check(path, *out, err);
    if (status == PD_OK) return PD_OK;
    cJSON_Delete(*out);
    *out = NULL;
    return status;
}

const cJSON *record_find_test(const cJSON *model, const char *name) {
    const cJSON *test;
    cJSON_ArrayForEach(test, member(model, "tests")) {
        if (strcmp(record_text(test, "test"), name) == 0) return test;
    }
    return NULL;
}

uint32_t record_list_tests(const record_group *g, const char *names[RECORD_MAX_TESTS]) {
    const cJSON *test;
    uint32_t n = 0;
    for (uint32_t i = 0; i < g->n_rows; i++) {
        cJSON_ArrayForEach(test, member(g->rows[i].model, "tests")) {
            const char *name = record_text(test, "test");
            uint32_t k = 0;
            while (k < n && strcmp(names[k], name) != 0) k++;
            if (k == n && n < RECORD_MAX_TESTS) names[n++] = name;
        }
    }
    return n;
}

/* Whether another row of that device's name has another text there. */
static bool tells_apart(const record_group *g, uint32_t row, const char *path) {
    const cJSON *own = g->rows[row].record;
    for (uint32_t i = 0; i < g->n_rows; i++) {
        const cJSON *other = g->rows[i].record;
        bool same_name =
            !strcmp(record_text(own, "device.name"), record_text(other, "device.name"));
        if (same_name && strcmp(record_text(own, path), record_text(other, path)) != 0) return true;
    }
    return false;
}

void record_label(const record_group *g, uint32_t row, char out[RECORD_LABEL_BYTES]) {
    static const char *const marks[] = {"device.driver", "commit", "begun"};
    const cJSON *record = g->rows[row].record;
    const cJSON *holds = member(record, "self_test.holds");
    int n = snprintf(out, RECORD_LABEL_BYTES, "%.64s", record_text(record, "device.name"));
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        if (!tells_apart(g, row, marks[i])) continue;
        n += snprintf(out + n, (size_t)(RECORD_LABEL_BYTES - n), ", %.64s",
                      record_text(record, marks[i]));
        break;
    }
    if (cJSON_IsFalse(holds))
        snprintf(out + n, (size_t)(RECORD_LABEL_BYTES - n), " (computes something else)");
}

/* ---- many ----------------------------------------------------------------------------------- */

static void title_of(const record_row *row, char out[64]) {
    snprintf(out, 64, "%.16s, %.16s, precision %.8s", record_text(row->model, "preset"),
             record_text(row->model, "type"), record_text(row->record, "precision"));
}

/* All models of all records; a NULL list only counts. */
static uint32_t list_rows(const cJSON *records, record_row *rows) {
    const cJSON *record, *model;
    uint32_t n = 0;
    cJSON_ArrayForEach(record, records) {
        cJSON_ArrayForEach(model, member(record, "models")) {
            if (cJSON_GetArraySize(member(model, "tests")) == 0) continue;
            if (rows) rows[n] = (record_row){record, model};
            n++;
        }
    }
    return n;
}

pd_status record_each_group(const cJSON *records, record_group_fn fn, void *ctx, pd_error *err) {
    uint32_t n = list_rows(records, NULL);
    record_row *rows = pd_alloc(n + 1, sizeof *rows), *chosen = pd_alloc(n + 1, sizeof *chosen);
    if (!rows || !chosen) {
        pd_free(rows);
        pd_free(chosen);
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for a table");
    }
    list_rows(records, rows);
    for (uint32_t i = 0; i < n; i++) {
        record_group g = {.rows = chosen};
        char title[64];
        bool is_first = true;
        title_of(&rows[i], g.title);
        for (uint32_t k = 0; k < n; k++) {
            title_of(&rows[k], title);
            if (strcmp(title, g.title) != 0) continue;
            is_first = is_first && k >= i;
            chosen[g.n_rows++] = rows[k];
        }
        if (is_first) fn(ctx, &g);
    }
    pd_free(rows);
    pd_free(chosen);
    return PD_OK;
}
