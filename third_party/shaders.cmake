# Embeds every file of shaders/ as text: one generated C file with an array per file and a table
# {name, stem, text, bytes} that src/backend/vulkan/expand.c searches.
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
