# Writes what a shared library exports, for the linker: the functions that the headers declare.
#
#   cmake -DOUT=FILE -DFORMAT=def|map|list -DHEADERS=... -P exports.cmake
#
#   def    a module definition of Windows      map   a version script of ELF      list   symbols of Mach-O
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
if(FORMAT STREQUAL "def")
  string(REPLACE ";" "\n  " names "${names}")
  file(WRITE ${OUT} "EXPORTS\n  ${names}\n")
elseif(FORMAT STREQUAL "map")
  list(JOIN names ";\n  " names)
  file(WRITE ${OUT} "{\nglobal:\n  ${names};\nlocal:\n  *;\n};\n")
else()
  list(TRANSFORM names PREPEND "_")
  string(REPLACE ";" "\n" names "${names}")
  file(WRITE ${OUT} "${names}\n")
endif()
