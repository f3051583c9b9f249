# plugin_jwt: the gate that every token passes, used by the auth plugins and by `burrow token`.
pkg_check_modules(PLUGIN_JWT_DEPS REQUIRED IMPORTED_TARGET GLOBAL libcrypto jansson)
burrow_plugin_library(
  plugin_jwt
  SOURCES jwt/alg.c jwt/base64url.c jwt/claims.c jwt/hmac.c jwt/header.c jwt/jwt.c jwt/secret.c
  LIBS PkgConfig::PLUGIN_JWT_DEPS)
