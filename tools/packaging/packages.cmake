# cpack: packages for Debian, and an archive of everything. What is in them is said by install().
#
# The program and the library are packages of their own. Who runs models needs neither the archive of
# the library nor the headers of what that links; who links libperidot needs no program. A shared
# libperidot, when one is built, is a third, named by its SONAME, as two of them can be installed.

# ---- the licence: Peridot's, and of what is compiled into it -------------------------------------

set(copyright ${PROJECT_BINARY_DIR}/generated/package/copyright)
file(READ LICENSE text)
set(compiled_in libstb-dev)
if(PERIDOT_VULKAN)
  list(APPEND compiled_in libvulkan-volk-dev)
  if(PERIDOT_GLSLANG)
    list(APPEND compiled_in glslang-dev spirv-tools)
  endif()
endif()
foreach(package ${compiled_in}) # other systems keep them elsewhere
  if(EXISTS /usr/share/doc/${package}/copyright)
    file(READ /usr/share/doc/${package}/copyright other)
    string(APPEND text "\n\n==== Compiled into Peridot: from ${package} ====\n\n${other}")
  endif()
endforeach()
if(PERIDOT_PREFIX) # libraries that tools/libraries.sh has built
  foreach(licence cjson/LICENSE libpng1.6/LICENSE libwebp/COPYING zlib/LICENSE curl/COPYING openssl/LICENSE.txt
          libmicrohttpd/COPYING xxhash/LICENSE)
    get_filename_component(package ${licence} DIRECTORY)
    if(EXISTS ${PERIDOT_PREFIX}/../${package}.done OR package STREQUAL "xxhash")
      file(READ ${PERIDOT_PREFIX}/../../sources/${licence} other)
      string(APPEND text "\n\n==== Compiled into Peridot: ${package} ====\n\n${other}")
    endif()
  endforeach()
endif()
if(PERIDOT_PAGE)
  file(READ ${PERIDOT_PAGE_LICENCES} other)
  string(APPEND text "${other}")
endif()
file(CONFIGURE OUTPUT ${copyright} CONTENT "@text@" @ONLY)

set(doc ${CMAKE_INSTALL_DATADIR}/doc)
function(peridot_install_doc component package)
  install(FILES ${copyright} tools/packaging/changelog DESTINATION ${doc}/${package} COMPONENT ${component})
endfunction()
peridot_install_doc(program peridot)

# ---- packages ------------------------------------------------------------------------------------

set(CPACK_PACKAGE_NAME peridot)
set(CPACK_PACKAGE_VENDOR "The Peridot developers")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "") # each package has its own
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_STRIP_FILES ON)
set(CPACK_PERIDOT_STRIP ${CMAKE_STRIP})
set(CPACK_GENERATOR TGZ)
if(WIN32)
  set(CPACK_GENERATOR ZIP)
endif()
set(CPACK_PACKAGE_FILE_NAME peridot-${PROJECT_VERSION}-${CMAKE_SYSTEM_NAME}-${CMAKE_SYSTEM_PROCESSOR})
set(CPACK_COMPONENTS_ALL program)

if(CMAKE_SYSTEM_NAME STREQUAL "Linux")
  find_program(PERIDOT_DPKG dpkg)
  if(PERIDOT_DPKG)
    list(PREPEND CPACK_GENERATOR DEB)
  endif()
endif()

file(STRINGS tools/packaging/changelog maintainer REGEX "^ -- " LIMIT_COUNT 1)
string(REGEX REPLACE "^ -- (.*>)  .*" "\\1" CPACK_DEBIAN_PACKAGE_MAINTAINER "${maintainer}")
set(CPACK_DEB_COMPONENT_INSTALL ON)
if(CMAKE_CROSSCOMPILING AND CMAKE_SYSTEM_PROCESSOR STREQUAL "aarch64") # dpkg tells its own
  set(CPACK_DEBIAN_PACKAGE_ARCHITECTURE arm64)
endif()
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_PRE_BUILD_SCRIPTS ${PROJECT_SOURCE_DIR}/tools/packaging/debian_files.cmake)

set(about "Peridot runs the Gemma 3 models that come as GGUF files, with text and
pictures, on any device with a Vulkan driver and on the processor.")
set(CPACK_DEBIAN_PROGRAM_PACKAGE_NAME peridot)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_SHLIBDEPS ON)
# Both are looked for when the program runs; without them it computes on the processor, and does not
# fetch models.
set(CPACK_DEBIAN_PROGRAM_PACKAGE_RECOMMENDS "ca-certificates, libvulkan1, mesa-vulkan-drivers | vulkan-icd")
if(NOT PERIDOT_VULKAN)
  set(CPACK_DEBIAN_PROGRAM_PACKAGE_RECOMMENDS ca-certificates)
endif()
set(CPACK_COMPONENT_PROGRAM_DESCRIPTION "${PROJECT_DESCRIPTION}
${about}
This package has the program, which answers prompts, and measures, checks,
converts and fetches models.")

if(NOT PERIDOT_SHARED_CORE)
  list(APPEND CPACK_COMPONENTS_ALL development)
  set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libperidot-dev)
  set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
  set(CPACK_COMPONENT_DEVELOPMENT_DESCRIPTION "${PROJECT_DESCRIPTION} - development files
${about}
This package has the library with its headers, for pkg-config and CMake.")
  peridot_install_doc(development libperidot-dev)
  if(BUILD_SHARED_LIBS)
    list(APPEND CPACK_COMPONENTS_ALL library)
    set(shared libperidot${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
    set(CPACK_DEBIAN_LIBRARY_PACKAGE_NAME ${shared})
    set(CPACK_DEBIAN_LIBRARY_PACKAGE_SECTION libs)
    set(CPACK_DEBIAN_LIBRARY_PACKAGE_SHLIBDEPS ON)
    set(CPACK_DEBIAN_LIBRARY_PACKAGE_RECOMMENDS "libvulkan1")
    set(CPACK_COMPONENT_LIBRARY_DESCRIPTION "${PROJECT_DESCRIPTION} - shared library
${about}
This package has the library that programs are linked with.")
    set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
    set(CPACK_DEBIAN_LIBRARY_PACKAGE_CONTROL_EXTRA ${PROJECT_SOURCE_DIR}/tools/packaging/triggers)
    set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS "${shared} (= ${PROJECT_VERSION})")
    peridot_install_doc(library ${shared})
  else()
    # the static library's own, see library.cmake; SPIRV-Tools has moved to a -dev package of late
    set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS "libcjson-dev, libpng-dev, libwebp-dev, libxxhash-dev")
    if(PERIDOT_VULKAN AND PERIDOT_GLSLANG)
      string(APPEND CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS ", glslang-dev, spirv-tools-dev | spirv-tools, g++ | libstdc++-dev")
    endif()
  endif()
endif()

include(CPack)
