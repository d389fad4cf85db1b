#!/usr/bin/env bash
# Installs missing Debian packages for the tests: a browser, a font for it, openssl for certificates, and a gateway that verifies
# tokens.
set -euo pipefail

packages=(chromium fonts-dejavu-core openssl haproxy)

is_installed() { [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2> /dev/null)" = installed ]; }

missing=()
for package in "${packages[@]}"; do is_installed "$package" || missing+=("$package"); done
if [ ${#missing[@]} -eq 0 ]; then exit 0; fi

if [ "$(id -u)" -ne 0 ]; then
  echo "Run this as root to install: ${missing[*]}" >&2
  exit 1
fi

export DEBIAN_FRONTEND=noninteractive
install() { apt-get install --yes --quiet --no-install-recommends "${missing[@]}"; }

# Package lists can be missing, or too old for the files on the mirror.
install || { apt-get update --quiet && install; }
