# Installs the program with what its tables say about it: manual pages, and completion for three
# shells.
install(TARGETS peridot-cli COMPONENT program)
# It names the program where packages put it.
if(CMAKE_INSTALL_PREFIX STREQUAL "/usr")
  install(FILES ${CMAKE_CURRENT_LIST_DIR}/peridot.service DESTINATION lib/systemd/system
          COMPONENT program)
endif()

# ---- written from its tables ---------------------------------------------------------------------

set(table src/options/option_table.h)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${table} tools/packaging/changelog)
file(READ ${table} rows)
string(REGEX MATCHALL " X[(][A-Z_]+, \"[a-z-]+\", cli_[a-z_]+," rows "${rows}")
list(TRANSFORM rows REPLACE "^[^\"]*\"([a-z-]+)\".*" "\\1" OUTPUT_VARIABLE commands)

# The date of the pages is that of the version: "29 Nov 2026" in the changelog.
file(STRINGS tools/packaging/changelog date REGEX "^ -- " LIMIT_COUNT 1)
string(REGEX MATCH "([0-9]+) ([A-Z][a-z][a-z]) ([0-9][0-9][0-9][0-9])" date "${date}")
set(months Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec)
list(FIND months "${CMAKE_MATCH_2}" month)
math(EXPR month "${month} + 101")
string(SUBSTRING ${month} 1 2 month)
set(date ${CMAKE_MATCH_3}-${month}-${CMAKE_MATCH_1})

set(generated ${PROJECT_BINARY_DIR}/generated/package)
if(PERIDOT_HOST_BUILD)
  set(generated ${PERIDOT_HOST_BUILD}/generated/package)
elseif(CMAKE_CROSSCOMPILING)
  message(STATUS "No manual pages and completion without PERIDOT_HOST_BUILD: programs that write them run elsewhere")
  return()
endif()
set(pages peridot.1)
foreach(command ${commands})
  list(APPEND pages peridot-${command}.1)
endforeach()
set(scripts peridot.bash _peridot peridot.fish)
list(TRANSFORM pages PREPEND ${generated}/)
list(TRANSFORM scripts PREPEND ${generated}/)

if(NOT PERIDOT_HOST_BUILD)
  add_executable(write_man tools/packaging/write_man.c)
  target_include_directories(write_man PRIVATE src)
  target_link_libraries(write_man PRIVATE peridot_commands peridot_warnings)
  string(REPLACE ";" " " command_words "${commands}")
  add_custom_command(OUTPUT ${pages} ${scripts}
    COMMAND ${CMAKE_COMMAND} -DPROGRAM=$<TARGET_FILE:peridot-cli>
            -DWRITE_MAN=$<TARGET_FILE:write_man>
            -DFOLDER=${generated} -DDATE=${date} "-DCOMMANDS=${command_words}"
            -P ${PROJECT_SOURCE_DIR}/tools/packaging/write_pages.cmake
    DEPENDS peridot-cli write_man tools/packaging/write_pages.cmake
    COMMENT "Writing manual pages and completion"
    VERBATIM)
  add_custom_target(peridot_pages ALL DEPENDS ${pages} ${scripts})
endif()

install(FILES ${pages} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT program)
# Debian's zsh looks into another folder than zsh's own, except under /usr/local.
set(zsh_folder site-functions)
if(CMAKE_INSTALL_PREFIX STREQUAL "/usr" AND EXISTS /etc/debian_version)
  set(zsh_folder vendor-completions)
endif()
set(PERIDOT_ZSH_DIR ${CMAKE_INSTALL_DATADIR}/zsh/${zsh_folder} CACHE STRING
    "Where zsh looks for completion, from the prefix")
install(FILES ${generated}/peridot.bash RENAME peridot
  DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions COMPONENT program)
install(FILES ${generated}/_peridot DESTINATION ${PERIDOT_ZSH_DIR} COMPONENT program)
install(FILES ${generated}/peridot.fish
  DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d COMPONENT program)
