# The framing of transport-ws; needs nothing but that library.
burrow_fuzz_target(fuzz_ws SOURCES ${CMAKE_CURRENT_LIST_DIR}/fuzz_ws.c LIBS plugin_ws_frame plugin_ws_handshake)
