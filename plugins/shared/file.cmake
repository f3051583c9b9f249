# plugin_file: small files read whole, and moments as people write them. No library is needed.
burrow_plugin_library(plugin_file SOURCES file.c utc.c)
