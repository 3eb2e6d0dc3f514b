# The page of `peridot serve`: the files of src/server/page with two libraries that packages bring, marked
# (Markdown) and DOMPurify (what HTML may hold), in one generated C file. Where that cannot be, PERIDOT_PAGE is
# off behind this, and one sentence says why.
set(PERIDOT_PAGE_SOURCE ${CMAKE_BINARY_DIR}/generated/page_files.c)
set(PERIDOT_PAGE_LICENCES ${CMAKE_BINARY_DIR}/generated/page_licences.txt)

if(PERIDOT_HOST_BUILD) # what it has is for all systems
  set(PERIDOT_PAGE_SOURCE ${PERIDOT_HOST_BUILD}/generated/page_files.c)
  set(PERIDOT_PAGE_LICENCES ${PERIDOT_HOST_BUILD}/generated/page_licences.txt)
  if(PERIDOT_PAGE AND NOT EXISTS ${PERIDOT_PAGE_SOURCE})
    message(WARNING "`peridot serve` will have no page: the build in PERIDOT_HOST_BUILD has none.")
    set(PERIDOT_PAGE OFF)
  endif()
  return()
endif()

# A minified file of each, which a browser takes as it is, where Debian 12, Debian 13 and sid have it.
find_file(PERIDOT_MARKED marked.umd.min.js NO_DEFAULT_PATH
  PATHS /usr/share/javascript/marked /usr/share/nodejs/marked/lib)
find_file(PERIDOT_DOMPURIFY purify.min.js NO_DEFAULT_PATH
  PATHS /usr/share/nodejs/dompurify/dist /usr/share/javascript/dompurify)
find_program(PERIDOT_GZIP gzip)
set(missing "")
foreach(needed "PERIDOT_MARKED:marked.umd.min.js (Debian's libjs-marked)"
        "PERIDOT_DOMPURIFY:purify.min.js (Debian's node-dompurify)" "PERIDOT_GZIP:gzip")
  string(REGEX MATCH "^([A-Z_]+):(.*)$" parts "${needed}")
  if(NOT ${CMAKE_MATCH_1})
    list(APPEND missing "${CMAKE_MATCH_2}")
  endif()
endforeach()
if(PERIDOT_PAGE AND missing)
  list(JOIN missing " and " missing)
  message(WARNING "`peridot serve` will have no page, for want of ${missing}; -DPERIDOT_PAGE=OFF leaves it out "
    "without this word.")
  set(PERIDOT_PAGE OFF)
endif()
if(NOT PERIDOT_PAGE)
  file(REMOVE ${PERIDOT_PAGE_SOURCE} ${PERIDOT_PAGE_LICENCES}) # builds for other systems look for them
  return()
endif()

set(licences "")
foreach(library libjs-marked node-dompurify)
  if(EXISTS /usr/share/doc/${library}/copyright) # other systems keep them elsewhere
    file(READ /usr/share/doc/${library}/copyright text)
    string(APPEND licences "\n\n==== In the page of `peridot serve`: from ${library} ====\n\n${text}")
  endif()
endforeach()
file(CONFIGURE OUTPUT ${PERIDOT_PAGE_LICENCES} CONTENT "@licences@" @ONLY)

set(folder ${CMAKE_SOURCE_DIR}/src/server/page)
file(GLOB page_files CONFIGURE_DEPENDS ${folder}/*.html ${folder}/*.css ${folder}/*.js ${folder}/*.svg)
add_custom_command(
  OUTPUT ${PERIDOT_PAGE_SOURCE}
  COMMAND ${CMAKE_COMMAND} -DOUT=${PERIDOT_PAGE_SOURCE} -DFOLDER=${CMAKE_BINARY_DIR}/generated/page
          -DGZIP=${PERIDOT_GZIP} "-DFILES=${page_files}"
          "-DLIBRARIES=marked.js=${PERIDOT_MARKED};purify.js=${PERIDOT_DOMPURIFY}"
          -P ${CMAKE_SOURCE_DIR}/third_party/embed_page.cmake
  DEPENDS ${page_files} ${PERIDOT_MARKED} ${PERIDOT_DOMPURIFY} ${CMAKE_SOURCE_DIR}/third_party/embed_page.cmake
  COMMENT "Embedding the page"
  VERBATIM)
