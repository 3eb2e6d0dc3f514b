# Finds the packages Peridot uses and wraps each as one target. Nothing is downloaded or vendored.
# Why each is here: third_party/README.md.
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
if(PERIDOT_STATIC_PACKAGES AND NOT APPLE) # where some are the system's own
  set(CMAKE_FIND_LIBRARY_SUFFIXES .a)
  set(OPENSSL_USE_STATIC_LIBS ON)
endif()

# peridot_find(NAME PREFIX MODULE): a package that pkg-config knows; of static libraries with what they need.
function(peridot_find name prefix module)
  pkg_check_modules(${prefix} REQUIRED IMPORTED_TARGET ${module})
  add_library(${name} INTERFACE)
  target_link_libraries(${name} INTERFACE PkgConfig::${prefix})
  if(PERIDOT_STATIC_PACKAGES)
    target_link_libraries(${name} INTERFACE ${${prefix}_STATIC_LINK_LIBRARIES})
    target_compile_definitions(${name} INTERFACE ${ARGN})
  endif()
endfunction()

add_library(peridot_xxhash INTERFACE)
if(PERIDOT_STATIC_PACKAGES)
  find_path(XXHASH_INCLUDE_DIR xxhash.h REQUIRED)
  target_include_directories(peridot_xxhash SYSTEM INTERFACE ${XXHASH_INCLUDE_DIR})
  target_compile_definitions(peridot_xxhash INTERFACE XXH_INLINE_ALL)
else()
  pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)
  target_link_libraries(peridot_xxhash INTERFACE PkgConfig::XXHASH)
endif()

add_library(peridot_crypto INTERFACE) # macOS has it in its C library
if(WIN32)
  target_link_libraries(peridot_crypto INTERFACE bcrypt)
elseif(NOT APPLE)
  find_package(OpenSSL REQUIRED COMPONENTS Crypto)
  target_link_libraries(peridot_crypto INTERFACE OpenSSL::Crypto)
endif()

find_package(cJSON REQUIRED)
add_library(peridot_cjson INTERFACE)
target_include_directories(peridot_cjson SYSTEM INTERFACE ${CJSON_INCLUDE_DIRS})
target_link_libraries(peridot_cjson INTERFACE ${CJSON_LIBRARIES})

peridot_find(peridot_curl CURL libcurl>=7.85 CURL_STATICLIB)
pkg_get_variable(protocols libcurl supported_protocols)
if(NOT protocols MATCHES "HTTPS")
  message(FATAL_ERROR "This libcurl does without HTTPS, which the Hugging Face hub speaks")
endif()
peridot_find(peridot_microhttpd MICROHTTPD libmicrohttpd>=0.9.75)
peridot_find(peridot_png PNG libpng)
if(PERIDOT_STATIC_PACKAGES)
  find_library(ZLIB_LIBRARY z REQUIRED)
  target_link_libraries(peridot_png INTERFACE ${ZLIB_LIBRARY})
endif()
peridot_find(peridot_webp WEBP libwebp)

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
