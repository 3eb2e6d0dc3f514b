# Adds the targets bench_peer, check_peer and score_peer to Peridot's build; tools/bench_peer.sh names this file
# in CMAKE_PROJECT_peridot_INCLUDE, so that the ordinary build knows nothing of llama.cpp.
function(peridot_add_bench_peer)
  set(folder ${CMAKE_CURRENT_FUNCTION_LIST_DIR})
  file(GLOB sources CONFIGURE_DEPENDS ${folder}/*.c)
  list(REMOVE_ITEM sources ${folder}/check.c ${folder}/score.c)
  add_executable(bench_peer ${sources})
  add_executable(check_peer ${folder}/check.c ${folder}/peer.c)
  add_executable(score_peer ${folder}/score.c ${folder}/peer.c)
  foreach(target bench_peer check_peer score_peer)
    target_include_directories(${target} PRIVATE src)
    target_include_directories(${target} SYSTEM PRIVATE ${PERIDOT_PEER_INCLUDE})
    target_compile_definitions(${target} PRIVATE PERIDOT_COMMIT="${PERIDOT_COMMIT}")
    target_link_libraries(${target} PRIVATE
      peridot_core peridot_warnings peridot_cjson m ${CMAKE_DL_LIBS})
  endforeach()
endfunction()
cmake_language(DEFER CALL peridot_add_bench_peer)
