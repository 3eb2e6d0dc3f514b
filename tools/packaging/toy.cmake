# The model in the box: made of its checkpoint by the program itself, as any other is, and found beside it
# (src/cli/toy.c).
if(CMAKE_CROSSCOMPILING AND NOT PERIDOT_HOST_BUILD)
  message(STATUS "No model in the box without PERIDOT_HOST_BUILD: the program that converts it runs elsewhere")
  return()
endif()
set(checkpoint ${PROJECT_SOURCE_DIR}/tools/demo/pip-toy)
set(folder ${PROJECT_BINARY_DIR}/share/peridot)
set(toy ${folder}/pip-toy-q4_0.gguf ${folder}/mmproj-pip-toy-f16.gguf)
list(GET toy 0 text)
list(GET toy 1 mmproj)
file(GLOB weights CONFIGURE_DEPENDS ${checkpoint}/*.json ${checkpoint}/*.model ${checkpoint}/model.safetensors)
if(PERIDOT_HOST_BUILD)
  set(made ${toy})
  list(TRANSFORM made REPLACE ".*/" "${PERIDOT_HOST_BUILD}/share/peridot/")
  add_custom_command(OUTPUT ${toy}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${folder}
    COMMAND ${CMAKE_COMMAND} -E copy ${made} ${folder}
    DEPENDS ${made}
    VERBATIM)
else()
  add_custom_command(OUTPUT ${toy}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${folder}
    COMMAND $<TARGET_FILE:peridot-cli> convert ${checkpoint} -o ${text}
            --type q4_0 --mmproj ${mmproj} --mmproj-type f16
    DEPENDS peridot-cli ${weights}
    COMMENT "Converting the toy model"
    VERBATIM)
endif()
add_custom_target(peridot_toy ALL DEPENDS ${toy})
install(FILES ${toy} DESTINATION ${CMAKE_INSTALL_DATADIR}/peridot COMPONENT program)
