#!/bin/sh
# Starts HAProxy with the issuer's keys. HAProxy cannot fetch keys, so this script fetches them every POLL_SECONDS and
# reloads HAProxy, without dropping connections, if they have changed.
set -u
export JWT_ALG="${JWT_ALG:-ES256}"
cd "$(dirname "$0")" || exit 1
rm -rf run
node fetch-keys.mjs || exit 1
haproxy -W -f run/haproxy.cfg &
master=$!
trap 'kill "$master"; exit 0' INT TERM
while kill -0 "$master" 2> /dev/null; do
  sleep "${POLL_SECONDS:-60}" & wait $!
  node fetch-keys.mjs && kill -USR2 "$master"
done
