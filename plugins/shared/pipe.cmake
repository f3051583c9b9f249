# The byte pipe and the TLS contexts of the transports.
pkg_check_modules(OPENSSL REQUIRED IMPORTED_TARGET openssl>=3.0)
burrow_plugin_library(
  plugin_pipe
  SOURCES pipe.c pipe_write.c tls_context.c tls_file.c tls_reason.c
  LIBS plugin_file PkgConfig::OPENSSL)
