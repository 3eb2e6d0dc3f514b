# Finds the packages Peridot uses and wraps each as one target. Nothing is downloaded or vendored.
# Why each is here: third_party/README.md.
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)

pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)
add_library(peridot_xxhash ALIAS PkgConfig::XXHASH)

find_package(OpenSSL REQUIRED COMPONENTS Crypto)
add_library(peridot_crypto ALIAS OpenSSL::Crypto)

find_package(CURL 7.85 REQUIRED COMPONENTS HTTPS)
add_library(peridot_curl ALIAS CURL::libcurl)

find_package(cJSON REQUIRED)
add_library(peridot_cjson INTERFACE)
target_include_directories(peridot_cjson SYSTEM INTERFACE ${CJSON_INCLUDE_DIRS})
target_link_libraries(peridot_cjson INTERFACE ${CJSON_LIBRARIES})

pkg_check_modules(MICROHTTPD REQUIRED IMPORTED_TARGET libmicrohttpd>=0.9.75)
add_library(peridot_microhttpd ALIAS PkgConfig::MICROHTTPD)

pkg_check_modules(PNG REQUIRED IMPORTED_TARGET libpng)
add_library(peridot_png ALIAS PkgConfig::PNG)

pkg_check_modules(WEBP REQUIRED IMPORTED_TARGET libwebp)
add_library(peridot_webp ALIAS PkgConfig::WEBP)

# Without it `peridot chat` reads plain lines.
add_library(peridot_edit INTERFACE)
if(PERIDOT_LIBEDIT)
  pkg_check_modules(EDIT IMPORTED_TARGET libedit)
endif()
if(PERIDOT_LIBEDIT AND EDIT_FOUND)
  target_link_libraries(peridot_edit INTERFACE PkgConfig::EDIT)
  target_compile_definitions(peridot_edit INTERFACE PERIDOT_HAS_EDIT)
endif()

# Without it `peridot serve` does not tell systemd when it is ready.
add_library(peridot_systemd INTERFACE)
pkg_check_modules(SYSTEMD IMPORTED_TARGET libsystemd)
if(SYSTEMD_FOUND)
  target_link_libraries(peridot_systemd INTERFACE PkgConfig::SYSTEMD)
  target_compile_definitions(peridot_systemd INTERFACE PERIDOT_HAS_SYSTEMD)
endif()

# stb_image is a header whose implementation src/image/stb.c compiles.
find_path(STB_INCLUDE_DIR stb_image.h PATH_SUFFIXES stb REQUIRED)
add_library(peridot_stb INTERFACE)
target_include_directories(peridot_stb SYSTEM INTERFACE ${STB_INCLUDE_DIR})

if(PERIDOT_VULKAN)
  # volk is a header and a source under the include path; VOLK_IMPLEMENTATION is defined in one file
  # of the Vulkan backend. The loader itself is opened at run time.
  find_path(VOLK_INCLUDE_DIR volk.h REQUIRED)
  find_path(VULKAN_INCLUDE_DIR vulkan/vulkan.h REQUIRED)
  add_library(peridot_volk INTERFACE)
  target_include_directories(peridot_volk SYSTEM INTERFACE ${VOLK_INCLUDE_DIR} ${VULKAN_INCLUDE_DIR})
  target_link_libraries(peridot_volk INTERFACE ${CMAKE_DL_LIBS})

  if(NOT PERIDOT_GLSLANG AND NOT PERIDOT_SPIRV_DIR)
    message(FATAL_ERROR "Without glslang the shaders' SPIR-V has to come from another build: "
      "-DPERIDOT_SPIRV_DIR=OTHER/build/release/generated/spirv")
  endif()
  if(PERIDOT_GLSLANG)
    # Debian's glslang comes as static C++ libraries behind a C interface. From 14 on one target holds
    # what was in three, and the others may be missing.
    enable_language(CXX)
    find_package(glslang REQUIRED)
    find_path(GLSLANG_INCLUDE_DIR glslang/Include/glslang_c_interface.h REQUIRED)
    add_library(peridot_glslang INTERFACE)
    target_include_directories(peridot_glslang SYSTEM INTERFACE ${GLSLANG_INCLUDE_DIR})
    target_link_libraries(peridot_glslang INTERFACE glslang::glslang
      $<TARGET_NAME_IF_EXISTS:glslang::SPIRV>
      $<TARGET_NAME_IF_EXISTS:glslang::glslang-default-resource-limits>)
  endif()
endif()

if(PERIDOT_TESTS)
  find_package(cmocka REQUIRED)
  add_library(peridot_cmocka INTERFACE)
  target_include_directories(peridot_cmocka SYSTEM INTERFACE ${CMOCKA_INCLUDE_DIR})
  target_link_libraries(peridot_cmocka INTERFACE
    $<IF:$<TARGET_EXISTS:cmocka::cmocka>,cmocka::cmocka,cmocka>)
endif()
