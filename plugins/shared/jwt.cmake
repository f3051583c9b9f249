# plugin_jwt: the gate that every token passes, used by the auth plugins and by `burrow token`.
pkg_check_modules(PLUGIN_JWT_DEPS REQUIRED IMPORTED_TARGET GLOBAL libcrypto jansson jose)
burrow_plugin_library(
  plugin_jwt
  SOURCES jwt/alg.c jwt/auth.c jwt/base64url.c jwt/claims.c jwt/ed25519.c jwt/hmac.c jwt/header.c
          jwt/jwt.c jwt/key.c jwt/key_jwk.c jwt/key_pem.c jwt/key_set.c jwt/public_file.c jwt/secret.c
          jwt/sign.c jwt/verify.c
  LIBS plugin_file PkgConfig::PLUGIN_JWT_DEPS)
