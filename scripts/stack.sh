#!/usr/bin/env bash
# Brings up WattView with its store, alerts and Grafana in Docker, from nothing: `make stack`.
#   usage: scripts/stack.sh [up|down|logs|ps]       (up is the default)
# The first time it writes compose/.env, with a password for Grafana that it makes up and shows once.
set -euo pipefail
cd "$(dirname "$0")/../compose"

fail() { echo "stack: $*" >&2; exit 1; }

command -v docker >/dev/null || fail "Docker is not installed; run: sudo apt-get install docker.io docker-compose"
docker info >/dev/null 2>&1 || fail "no Docker engine answers you; run: sudo systemctl start docker, or add yourself to the group docker"
if docker compose version >/dev/null 2>&1; then
  compose=(docker compose)
elif command -v docker-compose >/dev/null; then
  compose=(docker-compose)
else
  fail "Docker has no Compose here; run: sudo apt-get install docker-compose, or docker-compose-plugin"
fi

if [[ ! -e .env ]]; then
  password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
  (umask 077 && sed "s/^GRAFANA_ADMIN_PASSWORD=.*/GRAFANA_ADMIN_PASSWORD=$password/" .env.example >.env)
  if docker info --format '{{json .Runtimes}}' | grep -q '"nvidia"'; then
    sed -i 's/^COMPOSE_PROFILES=cpu,/COMPOSE_PROFILES=nvidia,/' .env
  fi
  if ! grep -E '^[0-9]+ [0-9]+ [^ ]+ / / ' /proc/self/mountinfo | grep -qE 'shared:|master:'; then
    echo 'ROOTFS_MOUNT=ro' >>.env
  fi
  echo "stack: wrote compose/.env; Grafana's user is admin, its password $password"
fi

case ${1:-up} in
  up)
    "${compose[@]}" up --build --detach
    port() { sed -n "s/^$1=//p" .env | tail -n 1 | grep . || echo "$2"; }
    echo "Grafana       http://127.0.0.1:$(port GRAFANA_PORT 3000)"
    echo "the store     http://127.0.0.1:$(port STORE_PORT 8428)"
    echo "Alertmanager  http://127.0.0.1:$(port ALERTMANAGER_PORT 9093)"
    echo "a stream      rtmp://127.0.0.1:$(port RTMP_PORT 1935)/live/<name>"
    echo "a scenario    docker exec -it wattview wattview run"
    echo "the dashboard docker exec -it wattview wattview tui"
    ;;
  down | logs | ps) "${compose[@]}" "$@" ;;
  *) sed -n 2,4p "$0" >&2; exit 2 ;;
esac
