# How every target of burrow is built: warnings, hardening, and one function per sort of
# target, so that no folder's CMakeLists.txt repeats a flag.

# What a sanitizer brings is not there when a plugin is linked, and it replaces what _FORTIFY_SOURCE checks.
set(BURROW_INSTRUMENTED OFF)
if(BURROW_SANITIZE OR BURROW_TSAN OR BURROW_FUZZ)
  set(BURROW_INSTRUMENTED ON)
endif()

set(BURROW_WARNINGS
    -Wall -Wextra -Wshadow -Wconversion -Wcast-qual -Wstrict-prototypes -Wmissing-prototypes
    -Wvla -Wpointer-arith -Wundef -Wformat=2 -Werror)
set(BURROW_HARDENING -fstack-protector-strong -fvisibility=hidden -fno-strict-aliasing
                     -ffunction-sections -fdata-sections)
if(CMAKE_BUILD_TYPE STREQUAL "Release" OR CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo")
  list(APPEND BURROW_HARDENING -O2 -U_FORTIFY_SOURCE)
  if(NOT BURROW_INSTRUMENTED)
    list(APPEND BURROW_HARDENING -D_FORTIFY_SOURCE=2)
  endif()
endif()

add_library(burrow_flags INTERFACE)
target_compile_options(burrow_flags INTERFACE ${BURROW_WARNINGS} ${BURROW_HARDENING})
target_compile_definitions(burrow_flags INTERFACE _GNU_SOURCE BURROW_VERSION="${PROJECT_VERSION}")
target_include_directories(burrow_flags INTERFACE ${PROJECT_SOURCE_DIR}/include)
target_link_options(burrow_flags INTERFACE -Wl,-z,relro,-z,now -Wl,--as-needed)
if(BURROW_SANITIZE)
  set(sanitize -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
  target_compile_options(burrow_flags INTERFACE ${sanitize})
  target_link_options(burrow_flags INTERFACE ${sanitize})
endif()
if(BURROW_TSAN)
  set(sanitize -fsanitize=thread -fno-omit-frame-pointer)
  target_compile_options(burrow_flags INTERFACE ${sanitize})
  target_link_options(burrow_flags INTERFACE ${sanitize})
endif()
if(BURROW_FUZZ)
  target_compile_options(burrow_flags INTERFACE -fsanitize=fuzzer-no-link,address,undefined
                                                -fno-sanitize-recover=undefined)
  target_link_options(burrow_flags INTERFACE -fsanitize=address,undefined)
endif()

# libev has no pkg-config file in Debian.
find_path(EV_INCLUDE_DIR ev.h REQUIRED)
find_library(EV_LIBRARY ev REQUIRED)
add_library(burrow_libev INTERFACE)
target_include_directories(burrow_libev SYSTEM INTERFACE ${EV_INCLUDE_DIR})
target_link_libraries(burrow_libev INTERFACE ${EV_LIBRARY})

set(BURROW_PLUGIN_DIR ${CMAKE_INSTALL_LIBDIR}/burrow/plugins)

# A part of the core: static, position independent (tests and fuzzers link it too). Its
# headers are included as "part/file.h".
function(burrow_core_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;LIBS" ${ARGN})
  add_library(${name} STATIC ${arg_SOURCES})
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR}/core)
  target_link_libraries(${name} PUBLIC burrow_flags ${arg_LIBS})
endfunction()

# A bundled plugin NAME.so from the folder's sources.
function(burrow_bundled_plugin name)
  cmake_parse_arguments(arg "" "" "SOURCES;LIBS" ${ARGN})
  add_library(${name} MODULE ${arg_SOURCES})
  set_property(GLOBAL APPEND PROPERTY BURROW_BUNDLED_PLUGINS ${name})
  set_target_properties(
    ${name} PROPERTIES PREFIX "" LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/${BURROW_PLUGIN_DIR})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/plugins/shared)
  target_link_libraries(${name} PRIVATE burrow_flags ${arg_LIBS})
  if(NOT BURROW_INSTRUMENTED)
    target_link_options(${name} PRIVATE -Wl,-z,defs)
  endif()
  target_link_options(${name} PRIVATE -Wl,--exclude-libs,ALL)
  # The loader refuses what others may write, and some umasks let the group.
  add_custom_command(TARGET ${name} POST_BUILD COMMAND chmod go-w $<TARGET_FILE:${name}>)
  install(TARGETS ${name} LIBRARY DESTINATION ${BURROW_PLUGIN_DIR})
endfunction()

# What several plugins share: static, into each of them.
function(burrow_plugin_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;LIBS" ${ARGN})
  add_library(${name} STATIC ${arg_SOURCES})
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR}/plugins/shared)
  target_link_libraries(${name} PUBLIC burrow_flags ${arg_LIBS})
endfunction()

# A cmocka program test_NAME of one or more sources, run by ctest.
function(burrow_unit_test name)
  cmake_parse_arguments(arg "" "" "SOURCES;LIBS" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE burrow_flags ${arg_LIBS} cmocka)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT 600 LABELS unit)
endfunction()

# A libFuzzer program fuzz_NAME; built only with -DBURROW_FUZZ=ON and clang.
function(burrow_fuzz_target name)
  if(BURROW_FUZZ)
    cmake_parse_arguments(arg "" "" "SOURCES;LIBS" ${ARGN})
    add_executable(${name} ${arg_SOURCES})
    target_link_libraries(${name} PRIVATE burrow_flags ${arg_LIBS})
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  endif()
endfunction()
