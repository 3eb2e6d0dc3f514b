/* Reads an image as the program does and writes its raw pixels, for comparison with Pillow.
 *
 *     image_tool FILE OUT [WIDTH HEIGHT]     RGB bytes to OUT, "width height" to standard output
 *
 * Exit code 1 with the sentence of the error when the file is refused.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "image/image.h"

static pd_status convert(int argc, char **argv, pd_error *err) {
    pd_image image = {0}, resized = {0};
    pd_file_writer w;
    pd_status status;
    PD_TRY_GOTO(pd_image_read(argv[1], NULL, &image, err));
    if (argc == 5) {
        uint32_t width = (uint32_t)atoi(argv[3]), height = (uint32_t)atoi(argv[4]);
        PD_TRY_GOTO(pd_image_resize(&image, width, height, &resized, err));
        pd_image_free(&image);
        image = resized;
    }
    PD_TRY_GOTO(pd_file_writer_open(argv[2], &w, err));
    pd_file_writer_write(&w, image.rgb, 3 * (size_t)image.width * image.height);
    PD_TRY_GOTO(pd_file_writer_commit(&w, err));
    printf("%u %u\n", image.width, image.height);
done:
    pd_image_free(&image);
    return status;
}

int main(int argc, char **argv) {
    pd_error err = {0};
    if (argc != 3 && argc != 5) {
        fprintf(stderr, "usage: image_tool FILE OUT [WIDTH HEIGHT]\n");
        return 2;
    }
    if (convert(argc, argv, &err) == PD_OK) return 0;
    fprintf(stderr, "%s: %s\n", pd_status_name(err.status), err.message);
    return 1;
}
