# The fake loop and the mock transport are those of the unit tests; how stream_bytes.c is built,
# fuzz_session.cmake says.
burrow_fuzz_target(fuzz_session_v1
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/fuzz_session_v1.c ${CMAKE_CURRENT_LIST_DIR}/session_ends.c
    ${CMAKE_CURRENT_LIST_DIR}/stream_bytes.c
  LIBS test_mock_transport core_tunnel core_wire test_fake_loop core_base)
