# Installs libperidot: the library, its headers, and what pkg-config and find_package read. A shared
# library keeps to itself what it links; a static one names it.
include(CMakePackageConfigHelpers)
include(${CMAKE_CURRENT_LIST_DIR}/links.cmake)

# What a static library needs from those who link it: PERIDOT_LINK_FOUND and PERIDOT_LINK_SYSTEM, the
# names of libraries; for pkg-config PERIDOT_PC_REQUIRES, PERIDOT_PC_LIBS.
macro(peridot_static_links)
  if(PERIDOT_VULKAN AND PERIDOT_GLSLANG) # glslang names these; which of them needs which, they know
    foreach(package SPIRV-Tools SPIRV-Tools-opt SPIRV-Tools-link)
      find_package(${package} QUIET)
    endforeach()
  endif()
  peridot_link_names(names ${PERIDOT_PACKAGES})
  if(PERIDOT_LINKER_LANGUAGE STREQUAL "CXX") # so that a C compiler can link
    set(runtime ${CMAKE_CXX_IMPLICIT_LINK_LIBRARIES})
    list(FILTER runtime INCLUDE REGEX "^(c[+][+]|stdc[+][+])$")
    list(REMOVE_DUPLICATES runtime)
    list(APPEND names ${runtime})
  endif()
  list(REMOVE_ITEM names cjson_utils) # cJSON's package names it beside the other
  foreach(name ${names}) # a compiler knows where its own and the C library's are
    if(name MATCHES "^(-.*|m|dl|pthread|rt|c[+][+]|stdc[+][+])$")
      list(APPEND PERIDOT_LINK_SYSTEM ${name})
    else()
      list(APPEND PERIDOT_LINK_FOUND ${name})
    endif()
  endforeach()
  # Those with a pkg-config file on every Debian; the rest by name.
  set(PERIDOT_PC_REQUIRES "libcjson, libpng, libwebp, libxxhash")
  foreach(name ${PERIDOT_LINK_FOUND} ${PERIDOT_LINK_SYSTEM})
    if(name MATCHES "^-")
      string(APPEND PERIDOT_PC_LIBS " ${name}")
    elseif(NOT name MATCHES "^(cjson|png[0-9]*|webp|xxhash)$")
      string(APPEND PERIDOT_PC_LIBS " -l${name}")
    endif()
  endforeach()
endmacro()

# Paths from where the file lies, so that the installed folder can be moved.
macro(peridot_pc_paths)
  set(PERIDOT_PC_INCLUDEDIR "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
  set(PERIDOT_PC_LIBDIR "\${prefix}/${CMAKE_INSTALL_LIBDIR}")
  file(RELATIVE_PATH up /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
  string(REGEX REPLACE "/$" "" up "${up}")
  set(PERIDOT_PC_PREFIX "\${pcfiledir}/${up}")
  if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}" OR IS_ABSOLUTE "${CMAKE_INSTALL_INCLUDEDIR}")
    set(PERIDOT_PC_PREFIX "${CMAKE_INSTALL_PREFIX}") # somebody wants them just there
    set(PERIDOT_PC_INCLUDEDIR "${CMAKE_INSTALL_FULL_INCLUDEDIR}")
    set(PERIDOT_PC_LIBDIR "${CMAKE_INSTALL_FULL_LIBDIR}")
  endif()
endmacro()

# peridot_install_library(TARGET SHARED LIBRARY-COMPONENT DEVELOPMENT-COMPONENT [EXCLUDE_FROM_ALL])
function(peridot_install_library target shared library development)
  set(PERIDOT_PC_REQUIRES "")
  set(PERIDOT_PC_LIBS "")
  set(PERIDOT_LINK_FOUND "")
  set(PERIDOT_LINK_SYSTEM "")
  if(shared)
    set(PERIDOT_KIND SHARED)
    set(PERIDOT_FILE libperidot.so.${PROJECT_VERSION})
    set(PERIDOT_SONAME libperidot.so.${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
  else()
    set(PERIDOT_KIND STATIC)
    set(PERIDOT_FILE libperidot.a)
    set(PERIDOT_SONAME "")
    peridot_static_links()
  endif()
  peridot_pc_paths()

  set(from ${PROJECT_BINARY_DIR}/generated/package/${target})
  set(to ${CMAKE_INSTALL_LIBDIR}/cmake/Peridot)
  configure_file(${PROJECT_SOURCE_DIR}/tools/packaging/peridot.pc.in ${from}/peridot.pc @ONLY)
  configure_package_config_file(${PROJECT_SOURCE_DIR}/tools/packaging/PeridotConfig.cmake.in
    ${from}/PeridotConfig.cmake INSTALL_DESTINATION ${to}
    PATH_VARS CMAKE_INSTALL_INCLUDEDIR CMAKE_INSTALL_LIBDIR)
  write_basic_package_version_file(${from}/PeridotConfigVersion.cmake VERSION ${PROJECT_VERSION}
    COMPATIBILITY SameMinorVersion) # before 1.0; then SameMajorVersion

  install(TARGETS ${target}
    LIBRARY COMPONENT ${library} NAMELINK_COMPONENT ${development} ${ARGN}
    ARCHIVE COMPONENT ${development} ${ARGN})
  file(GLOB headers CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/include/*.h)
  install(FILES ${headers} TYPE INCLUDE COMPONENT ${development} ${ARGN})
  install(FILES ${from}/peridot.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig
    COMPONENT ${development} ${ARGN})
  install(FILES ${from}/PeridotConfig.cmake ${from}/PeridotConfigVersion.cmake DESTINATION ${to}
    COMPONENT ${development} ${ARGN})
endfunction()
