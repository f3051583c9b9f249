# plugin_kubernetes: the Kubernetes API for the plugins that speak it.
pkg_check_modules(PLUGIN_KUBERNETES_DEPS REQUIRED IMPORTED_TARGET GLOBAL jansson>=2.14 yaml-0.1 libcrypto>=3.0)
burrow_plugin_library(
  plugin_kubernetes
  SOURCES kubernetes/client.c kubernetes/config.c kubernetes/exec.c kubernetes/login.c
          kubernetes/pages.c kubernetes/program.c kubernetes/watch.c kubernetes/yaml.c
  LIBS plugin_http plugin_file PkgConfig::PLUGIN_KUBERNETES_DEPS)
