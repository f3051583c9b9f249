#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Lets in whoever has a token of the form open-sesame-NAME, after some thought.
read -r token
sleep "${JUDGE_SECONDS:-0.05}"
case $token in
open-sesame-?*) echo "${token#open-sesame-}" ;;
*) exit 1 ;;
esac
