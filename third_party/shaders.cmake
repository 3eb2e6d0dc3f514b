# Embeds every file of shaders/ as text: one generated C file with an array per file and a table
# {name, stem, text, bytes} that src/backend/vulkan/kernels/expand.c searches.
file(GLOB PERIDOT_SHADER_FILES CONFIGURE_DEPENDS
  ${CMAKE_SOURCE_DIR}/shaders/*.comp ${CMAKE_SOURCE_DIR}/shaders/*.glsl ${CMAKE_SOURCE_DIR}/shaders/*.h)
set(PERIDOT_SHADER_TEXTS ${CMAKE_BINARY_DIR}/generated/shader_texts.c)
add_custom_command(
  OUTPUT ${PERIDOT_SHADER_TEXTS}
  COMMAND ${CMAKE_COMMAND} -DOUT=${PERIDOT_SHADER_TEXTS} "-DFILES=${PERIDOT_SHADER_FILES}"
          -P ${CMAKE_SOURCE_DIR}/third_party/embed_text.cmake
  DEPENDS ${PERIDOT_SHADER_FILES} ${CMAKE_SOURCE_DIR}/third_party/embed_text.cmake
  COMMENT "Embedding the shaders' text"
  VERBATIM)

# Their SPIR-V beside them (spirv_modules.h): made by a program that is built first, or taken from the
# folder of another build, build/PRESET/generated/spirv, where this one has no compiler or cannot run
# what it builds.
set(PERIDOT_SPIRV_MODULES ${CMAKE_BINARY_DIR}/generated/spirv_modules.c)
set(folder "${PERIDOT_SPIRV_DIR}")
set(made_by "")
if(NOT folder AND PERIDOT_PRECOMPILE AND PERIDOT_GLSLANG AND NOT CMAKE_CROSSCOMPILING)
  set(folder ${CMAKE_BINARY_DIR}/generated/spirv)
  set(vulkan src/backend/vulkan)
  add_executable(precompile ${vulkan}/precompile/main.c ${vulkan}/kernels/glslang.c
    ${vulkan}/kernels/expand.c ${vulkan}/kernels/coopmat_rewrite.c ${vulkan}/kernels/shader_names.c src/base/bytes.c
    src/base/address.c src/base/error.c src/base/file.c src/base/file_writer.c src/base/folder.c src/base/hash.c
    src/base/log.c src/base/memory.c src/base/os_file.c ${PERIDOT_SYSTEM_SOURCES} ${PERIDOT_SHADER_TEXTS})
  target_include_directories(precompile PRIVATE include src shaders)
  target_link_libraries(precompile PRIVATE peridot_volk peridot_glslang peridot_warnings peridot_xxhash
    peridot_crypto Threads::Threads ${CMAKE_DL_LIBS})
  set(made_by ${folder}/made)
  add_custom_command(
    OUTPUT ${made_by}
    COMMAND ${CMAKE_COMMAND} -E rm -rf ${folder}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${folder}
    COMMAND precompile ${folder}
    COMMAND ${CMAKE_COMMAND} -E touch ${made_by}
    DEPENDS precompile
    COMMENT "Compiling the shaders"
    VERBATIM)
endif()
add_custom_command(
  OUTPUT ${PERIDOT_SPIRV_MODULES}
  COMMAND ${CMAKE_COMMAND} -DOUT=${PERIDOT_SPIRV_MODULES} "-DFOLDER=${folder}"
          -P ${CMAKE_SOURCE_DIR}/third_party/embed_spirv.cmake
  DEPENDS ${made_by} ${CMAKE_SOURCE_DIR}/third_party/embed_spirv.cmake
  COMMENT "Embedding the shaders' SPIR-V"
  VERBATIM)
