# The fake loop and the mock transport are those of the unit tests.
set_source_files_properties(${CMAKE_CURRENT_LIST_DIR}/stream_bytes.c PROPERTIES COMPILE_OPTIONS -fno-sanitize=all)
burrow_fuzz_target(fuzz_session
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/fuzz_session.c ${CMAKE_CURRENT_LIST_DIR}/session_model.c
    ${CMAKE_CURRENT_LIST_DIR}/session_ends.c ${CMAKE_CURRENT_LIST_DIR}/stream_bytes.c
  LIBS test_mock_transport core_tunnel core_wire test_fake_loop core_base)
