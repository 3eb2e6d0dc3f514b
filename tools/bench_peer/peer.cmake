# Adds the target bench_peer to Peridot's build; tools/bench_peer.sh names this file in
# CMAKE_PROJECT_peridot_INCLUDE, so that the ordinary build knows nothing of llama.cpp.
function(peridot_add_bench_peer)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/*.c)
  add_executable(bench_peer ${sources})
  target_include_directories(bench_peer PRIVATE src)
  target_include_directories(bench_peer SYSTEM PRIVATE ${PERIDOT_PEER_INCLUDE})
  target_compile_definitions(bench_peer PRIVATE PERIDOT_COMMIT="${PERIDOT_COMMIT}")
  target_link_libraries(bench_peer PRIVATE
    peridot peridot_warnings peridot_cjson m ${CMAKE_DL_LIBS})
endfunction()
cmake_language(DEFER CALL peridot_add_bench_peer)
