# plugin_http: the asynchronous HTTP client of the plugins, libcurl on the host's loop.
pkg_check_modules(PLUGIN_HTTP_DEPS REQUIRED IMPORTED_TARGET GLOBAL libcurl>=7.87)
burrow_plugin_library(
  plugin_http
  SOURCES http/ca.c http/client.c http/request.c http/times.c http/tls.c http/transfer.c
          http/url.c
  LIBS plugin_file plugin_pipe PkgConfig::PLUGIN_HTTP_DEPS)
