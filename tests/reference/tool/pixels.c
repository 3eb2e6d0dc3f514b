/* The bytes that a picture and its windows become, before they are made floats: SIDE x SIDE x RGB
 * each, one behind the other. The answer to a line is how many there are.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "image/image.h"

static pd_status write_resized(const pd_image *image, uint32_t side, pd_file_writer *out,
                               pd_error *err) {
    pd_image resized;
    PD_TRY(pd_image_resize(image, side, side, &resized, err));
    pd_file_writer_write(out, resized.rgb, 3 * (size_t)side * side);
    pd_image_free(&resized);
    return PD_OK;
}

static pd_status write_all(const pd_image *image, bool crops, uint32_t side, pd_file_writer *out,
                           pd_error *err) {
    pd_rect windows[PD_MAX_CROPS];
    uint32_t n = crops ? pd_image_crops(image->width, image->height, NULL, windows) : 0;
    pd_status status = write_resized(image, side, out, err);
    for (uint32_t i = 0; i < n && status == PD_OK; i++) {
        pd_image window;
        status = pd_image_crop(image, windows[i], &window, err);
        if (status == PD_OK) status = write_resized(&window, side, out, err);
        pd_image_free(&window);
    }
    if (status == PD_OK) printf("%u\n", 1 + n);
    return status;
}

static pd_status answer(char *line, uint32_t side, pd_error *err) {
    pd_image image;
    pd_file_writer out;
    char *rest = line, *in = strsep(&rest, " "), *path = strsep(&rest, " ");
    if (!path || !rest) return PD_RAISE(err, PD_ERR_ARGUMENT, "expected IMAGE OUT crops|whole");
    PD_TRY(pd_image_read(in, NULL, &image, err));
    pd_status status = pd_file_writer_open(path, &out, err);
    if (status == PD_OK) {
        status = write_all(&image, strcmp(rest, "crops") == 0, side, &out, err);
        if (status == PD_OK)
            status = pd_file_writer_commit(&out, err);
        else
            pd_file_writer_abort(&out);
    }
    pd_image_free(&image);
    return status;
}

pd_status tool_pixels(int argc, char **argv, pd_error *err) {
    (void)argc;
    static char line[TOOL_MAX_LINE];
    uint32_t side = (uint32_t)strtoul(argv[0], NULL, 10);
    pd_status status = PD_OK;
    while (status == PD_OK && tool_read_line(line)) status = answer(line, side, err);
    return status;
}
