/* Records as a drawing: for each model a bar a device, of prompts and of generation.
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "base/memory.h"
#include "cli/record/record.h"

enum {
    WIDTH = 860,
    LABEL = 330, /* where bars begin */
    BAR = 380,   /* of the largest */
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
        const char *entity = *text == '<'   ? "&lt;"
                             : *text == '>' ? "&gt;"
                             : *text == '&' ? "&amp;"
                                            : NULL;
        pd_bytes_write(&p->body, entity ? entity : text, entity ? strlen(entity) : 1);
    }
    pd_bytes_printf(&p->body, "</text>\n");
}

/* The first test of a model without a depth that is of prompts, or of generation. */
static const cJSON *find(const cJSON *model, bool is_prompt) {
    const cJSON *test;
    cJSON_ArrayForEach(test, cJSON_GetObjectItem(model, "tests")) {
        bool of_prompt = record_number(test, "n_gen") == 0;
        if (of_prompt == is_prompt && record_number(test, "n_depth") == 0) return test;
    }
    return NULL;
}

static double speed_of(const record_row *row, bool is_prompt) {
    return record_number(find(row->model, is_prompt), "tokens_per_second");
}

static void draw_bar(plot *p, const record_row *row, bool is_prompt, double most) {
    const cJSON *test = find(row->model, is_prompt);
    double speed = record_number(test, "tokens_per_second"), n = BAR * speed / most;
    char text[64];
    p->y += LINE;
    write_text(p, 8, "", record_text(row->record, "device.name"));
    pd_bytes_printf(&p->body, "<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"14\" rx=\"2\"/>\n",
                    LABEL, p->y - 11, n > 1 ? n : 1);
    snprintf(text, sizeof text, speed >= 100 ? "%.0f, %.0f %%" : "%.1f, %.0f %%", speed,
             record_number(test, is_prompt ? "arithmetic_percent" : "memory_percent"));
    write_text(p, LABEL + (int)n + 6, "", text);
}

static void draw_bars(plot *p, const record_group *g, bool is_prompt) {
    double most = 0;
    char text[160];
    const char *name = "";
    for (uint32_t i = 0; i < g->n_rows; i++) {
        double speed = speed_of(&g->rows[i], is_prompt);
        if (speed <= most) continue;
        most = speed;
        name = record_text(find(g->rows[i].model, is_prompt), "test");
    }
    if (most <= 0) return;
    p->y += TITLE;
    snprintf(text, sizeof text, "%.64s: %.32s, tokens a second; share of the device's %s", g->title,
             name, is_prompt ? "arithmetic" : "read bandwidth");
    write_text(p, 8, "title", text);
    for (uint32_t i = 0; i < g->n_rows; i++)
        if (find(g->rows[i].model, is_prompt)) draw_bar(p, &g->rows[i], is_prompt, most);
}

/* A record_group_fn. */
static void draw_group(void *ctx, const record_group *g) {
    draw_bars(ctx, g, true);
    draw_bars(ctx, g, false);
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
