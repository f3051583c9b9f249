burrow_fuzz_target(fuzz_control SOURCES ${CMAKE_CURRENT_LIST_DIR}/fuzz_control.c LIBS core_wire)
