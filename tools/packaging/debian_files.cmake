# Run by cpack between installing into its own folder and packing: what Debian wants otherwise than
# `cmake --install` leaves it.
if(NOT CPACK_GENERATOR STREQUAL "DEB")
  return()
endif()

# Whatever the umask is.
file(CHMOD_RECURSE ${CPACK_TEMPORARY_DIRECTORY} DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)

find_program(gzip gzip REQUIRED)
file(GLOB_RECURSE files ${CPACK_TEMPORARY_DIRECTORY}/*.1 ${CPACK_TEMPORARY_DIRECTORY}/changelog)
list(FILTER files EXCLUDE REGEX "[.]so[.]")
foreach(file ${files})
  execute_process(COMMAND ${gzip} -9n ${file} COMMAND_ERROR_IS_FATAL ANY)
endforeach()

# CPack strips programs and shared libraries alone.
set(strip ${CPACK_PERIDOT_STRIP}) # of the system that is packed for
file(GLOB_RECURSE archives ${CPACK_TEMPORARY_DIRECTORY}/*.a)
foreach(archive ${archives})
  execute_process(COMMAND ${strip} --strip-debug --remove-section=.comment --remove-section=.note
    --enable-deterministic-archives ${archive} COMMAND_ERROR_IS_FATAL ANY)
endforeach()
