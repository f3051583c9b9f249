# How a plugin of burrow is built and tried.
#
#   burrow_add_plugin(auth-ldap KIND auth SOURCES a.c … [LIBS …])
#     The module auth-ldap.so: hidden symbols but for the descriptor, no symbol left
#     undefined, not writable by others (burrow would refuse it), installed to
#     Burrow_PLUGIN_DIR. Fails the build when the descriptor is not exported.
#   burrow_add_conformance_test(auth-ldap [ARGS url=ldap://… …] [FLAGS --unix …])
#     Runs burrow-conformance on it in ctest, with options for its config and flags for
#     burrow-conformance itself.
set(Burrow_CMAKE_DIR "${CMAKE_CURRENT_LIST_DIR}")

function(burrow_add_plugin name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "KIND" "SOURCES;LIBS")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "burrow_add_plugin(${name}): unknown: ${arg_UNPARSED_ARGUMENTS}")
  endif()
  if(NOT arg_KIND OR NOT arg_SOURCES)
    message(FATAL_ERROR "burrow_add_plugin(${name}): expected KIND and SOURCES")
  endif()
  # The host takes the kind from the name before it opens the file.
  if(NOT name MATCHES "^${arg_KIND}-[a-z0-9-]+$")
    message(FATAL_ERROR "burrow_add_plugin(${name}): expected a name like ${arg_KIND}-something")
  endif()
  add_library(${name} MODULE ${arg_SOURCES})
  set_target_properties(
    ${name} PROPERTIES PREFIX "" SUFFIX ".so" C_VISIBILITY_PRESET hidden
                       CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
  target_link_libraries(${name} PRIVATE Burrow::plugin ${arg_LIBS})
  # Sanitizers leave their runtime's symbols undefined in a shared object.
  if(NOT "${CMAKE_C_FLAGS} ${CMAKE_CXX_FLAGS}" MATCHES "-fsanitize")
    target_link_options(${name} PRIVATE -Wl,-z,defs)
  endif()
  target_link_options(${name} PRIVATE -Wl,-z,relro,-z,now -Wl,--exclude-libs,ALL
                      "-Wl,--version-script=${Burrow_CMAKE_DIR}/burrow-plugin.map")
  set_property(TARGET ${name} APPEND PROPERTY LINK_DEPENDS "${Burrow_CMAKE_DIR}/burrow-plugin.map")
  add_custom_command(
    TARGET ${name} POST_BUILD
    COMMAND chmod go-w $<TARGET_FILE:${name}>
    COMMAND ${CMAKE_COMMAND} "-DFILE=$<TARGET_FILE:${name}>" "-DNM=${CMAKE_NM}"
            "-DSYMBOL=burrow_plugin_${Burrow_ABI}" -P "${Burrow_CMAKE_DIR}/BurrowCheckPlugin.cmake"
    VERBATIM)
  install(TARGETS ${name} LIBRARY DESTINATION "${Burrow_PLUGIN_DIR}")
endfunction()

function(burrow_add_conformance_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "ARGS;FLAGS")
  add_test(NAME ${name}-conformance COMMAND "${Burrow_CONFORMANCE}" ${arg_FLAGS}
                                            $<TARGET_FILE:${name}> ${arg_ARGS})
endfunction()
