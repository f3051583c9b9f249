# plugin_file: small files read whole.
burrow_plugin_library(plugin_file SOURCES file.c)
