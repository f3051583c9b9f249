burrow_fuzz_target(fuzz_jwt SOURCES ${CMAKE_CURRENT_LIST_DIR}/fuzz_jwt.c LIBS plugin_jwt)
