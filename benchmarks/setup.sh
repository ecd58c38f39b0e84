#!/usr/bin/env bash
# What the benchmarks need and this machine lacks: tools by apt-get, peers into benchmarks/.peers.
#
#     benchmarks/setup.sh [PYTHON]
#
# Run again, it installs only what is still missing, or whose pinned version has changed.
set -euo pipefail
python=$(realpath -s "$(command -v "${1:-python3}")")
cd "$(dirname "$0")"
peers=$PWD/.peers

missing=()
for pair in wrk:wrk nginx:nginx haproxy:haproxy gcc:gcc node:nodejs npm:npm \
    taskset:util-linux setpriv:util-linux; do
  PATH=$PATH:/usr/sbin command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
done
[ -e /usr/include/stdio.h ] || missing+=(libc6-dev)
# Only benchmarks/profile.py needs perf, and says so: no reason to stop where it cannot be installed.
[ "$(id -u)" != 0 ] || command -v perf >/dev/null || missing+=(linux-perf)
if [ "${#missing[@]}" -gt 0 ]; then
  if [ "$(id -u)" != 0 ]; then
    echo "benchmarks need: apt-get install ${missing[*]}" >&2
    exit 1
  fi
  apt-get update -q
  # Debian's packages of servers start them; the benchmarks start their own.
  started=/usr/sbin/policy-rc.d
  if [ ! -e "$started" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$started"
    chmod 755 "$started"
    trap 'rm -f "$started"' EXIT
  fi
  DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "${missing[@]}"
fi

mkdir -p "$peers"
if ! cmp -s peers/package.json "$peers/package.json" ||
    [ ! -x "$peers/node_modules/node/bin/node" ]; then
  rm -rf "$peers/node_modules" "$peers/package.json" "$peers/package-lock.json"
  cp peers/package.json "$peers/package.json.new"
  mkdir -p "$peers/npm"
  cp peers/package.json "$peers/npm/package.json"
  (cd "$peers/npm" && npm install --no-audit --no-fund --loglevel=error)
  mv "$peers/npm/node_modules" "$peers/node_modules"
  rm -rf "$peers/npm"
  [ "$("$peers/node_modules/node/bin/node" -v)" = v8.17.0 ] ||
    { echo "npm has not installed Node 8 (its package 'node' needs its install script)" >&2; exit 1; }
  mv "$peers/package.json.new" "$peers/package.json"
fi

if ! cmp -s peers/requirements.txt "$peers/requirements.txt"; then
  rm -rf "$peers/venv" "$peers/requirements.txt"
  "$python" -m venv "$peers/venv"
  "$peers/venv/bin/python" -m pip install -q --disable-pip-version-check -r peers/requirements.txt
  cp peers/requirements.txt "$peers/requirements.txt"
fi
