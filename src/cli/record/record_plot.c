/* Records as a drawing: for each model and test a bar a device.
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "base/memory.h"
#include "cli/record/record.h"

enum {
    WIDTH = 860,
    LABEL = 430, /* where bars begin */
    BAR = 300,   /* of the largest */
    LINE = 22,
    TITLE = 34
};

typedef struct plot {
    pd_bytes body;
    int y;
} plot;

static void write_text(plot *p, int x, const char *class_name, const char *text) {
    pd_bytes_printf(&p->body, "<text x=\"%d\" y=\"%d\" class=\"%s\">", x, p->y, class_name);
    for (; *text; text++) {
        const char *entity = *text == '<'                 ? "&lt;"
                             : *text == '>'               ? "&gt;"
                             : *text == '&'               ? "&amp;"
                             : (unsigned char)*text < ' ' ? " " /* XML knows few of them */
                                                          : NULL;
        pd_bytes_write(&p->body, entity ? entity : text, entity ? strlen(entity) : 1);
    }
    pd_bytes_printf(&p->body, "</text>\n");
}

static void draw_bar(plot *p, const char *label, const cJSON *test, double most) {
    bool is_prompt = record_number(test, "n_gen") == 0;
    double speed = record_number(test, "tokens_per_second"), n = (double)BAR * speed / most;
    char text[64];
    p->y += LINE;
    write_text(p, 8, "", label);
    pd_bytes_printf(&p->body, "<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"14\" rx=\"2\"/>\n",
                    LABEL, p->y - 11, n > 1 ? n : 1);
    snprintf(text, sizeof text, speed >= 100 ? "%.0f, %.0f %%" : "%.1f, %.0f %%", speed,
             record_number(test, is_prompt ? "arithmetic_percent" : "memory_percent"));
    write_text(p, LABEL + (int)n + 6, "", text);
}

/* A bar for each device that has the test; none where no device was timed. */
static void draw_test(plot *p, const record_group *g, const char *name) {
    double most = 0;
    const cJSON *any = NULL;
    char text[160];
    for (uint32_t i = 0; i < g->n_rows; i++) {
        const cJSON *test = record_find_test(g->rows[i].model, name);
        double speed = record_number(test, "tokens_per_second");
        if (test) any = test;
        if (speed > most) most = speed;
    }
    if (most <= 0) return;
    p->y += TITLE;
    snprintf(text, sizeof text, "%.64s: %.32s, tokens a second; share of the device's %s", g->title,
             name, record_number(any, "n_gen") == 0 ? "arithmetic" : "read bandwidth");
    write_text(p, 8, "title", text);
    for (uint32_t i = 0; i < g->n_rows; i++) {
        const cJSON *test = record_find_test(g->rows[i].model, name);
        char label[RECORD_LABEL_BYTES];
        record_label(g, i, label);
        if (test) draw_bar(p, label, test, most);
    }
}

/* A record_group_fn. */
static void draw_group(void *ctx, const record_group *g) {
    const char *names[RECORD_MAX_TESTS];
    uint32_t n = record_list_tests(g, names);
    for (uint32_t i = 0; i < n; i++) draw_test(ctx, g, names[i]);
}

pd_status record_write_plot(const cJSON *records, pd_file_writer *w, pd_error *err) {
    plot p = {.y = 0};
    char head[640];
    pd_status status = record_each_group(records, draw_group, &p, err);
    if (status == PD_OK && p.body.failed)
        status = PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for a drawing");
    snprintf(head, sizeof head,
             "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" "
             "font-family=\"system-ui, sans-serif\" font-size=\"13\">\n"
             "<style>text { fill: #24292f } rect { fill: #5a9a2e } .title { font-weight: 600 }\n"
             "@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } rect { fill: #8cc152 } "
             "}</style>\n",
             WIDTH, p.y + LINE);
    if (status == PD_OK) {
        pd_file_writer_write(w, head, strlen(head));
        pd_file_writer_write(w, p.body.data, p.body.n);
        pd_file_writer_write(w, "</svg>\n", 7);
    }
    pd_bytes_free(&p.body);
    return status;
}
