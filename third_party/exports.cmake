# Writes what a library for Windows exports: the functions that the headers declare.
#
#   cmake -DOUT=FILE -DHEADERS=... -P exports.cmake
#
# SPDX-License-Identifier: MIT
set(names "")
foreach(header ${HEADERS})
  file(READ ${header} text)
  string(REGEX REPLACE "/[*]([^*]|[*]+[^*/])*[*]+/" "" text "${text}")
  string(REGEX MATCHALL "pd_[a-z0-9_]+[(]" found "${text}")
  list(APPEND names ${found})
endforeach()
string(REPLACE "(" "" names "${names}")
list(REMOVE_DUPLICATES names)
list(SORT names)
string(REPLACE ";" "\n  " names "${names}")
file(WRITE ${OUT} "EXPORTS\n  ${names}\n")
