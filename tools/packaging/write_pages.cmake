# Run while building: WRITE_MAN writes manual pages, one for each of COMMANDS and one for the program,
# and PROGRAM its completion scripts, into FOLDER.
function(write file)
  execute_process(COMMAND ${ARGN} OUTPUT_FILE ${FOLDER}/${file} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

file(MAKE_DIRECTORY ${FOLDER})
separate_arguments(COMMANDS)
write(peridot.1 ${WRITE_MAN} ${DATE})
foreach(command ${COMMANDS})
  write(peridot-${command}.1 ${WRITE_MAN} ${DATE} ${command})
endforeach()
write(peridot.bash ${PROGRAM} --completion-bash)
write(_peridot ${PROGRAM} --completion-zsh)
write(peridot.fish ${PROGRAM} --completion-fish)
