# cmake -DOUT=file.c -DFILE=page.html -DHEADER=header.h -DNAME=array -P embed_file.cmake
# The file's bytes and a zero behind them as `const char NAME[]`, which HEADER declares.
file(READ ${FILE} hex HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
file(WRITE ${OUT} "/* Generated; do not edit. */\n#include \"${HEADER}\"\n\nconst char ${NAME}[] = {${bytes}0};\n")
