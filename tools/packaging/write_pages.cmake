# Run while building: PROGRAM writes its manual pages, one for each of COMMANDS and one for itself,
# and its completion scripts into FOLDER.
function(write file)
  execute_process(COMMAND ${PROGRAM} ${ARGN} OUTPUT_FILE ${FOLDER}/${file} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

file(MAKE_DIRECTORY ${FOLDER})
separate_arguments(COMMANDS)
write(peridot.1 --man ${DATE})
foreach(command ${COMMANDS})
  write(peridot-${command}.1 --man ${DATE} ${command})
endforeach()
write(peridot.bash --completion-bash)
write(_peridot --completion-zsh)
write(peridot.fish --completion-fish)
