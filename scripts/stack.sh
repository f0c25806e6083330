#!/usr/bin/env bash
# Brings up WattView with its store, alerts and Grafana in Docker, from nothing: `make stack`.
#   usage: scripts/stack.sh [up|down|logs|ps]       (up is the default)
# The first time it writes compose/.env, with a password for Grafana that it makes up and shows once. `up` looks for
# taken ports before it starts anything, and comes back when every part is healthy.
set -euo pipefail
cd "$(dirname "$0")/../compose"

WAIT_SECONDS=180

fail() { echo "stack: $*" >&2; exit 1; }

setting() { # NAME DEFAULT: as Compose takes it, from the environment or else from .env
  local line="${!1:-}"
  [[ -n $line || ! -e .env ]] || line=$(sed -n "s/^$1=//p" .env | tail -n 1)
  echo "${line:-$2}"
}

containers() { # [--all]: the ids of this stack's containers, without --all of those that run
  docker ps "$@" --quiet --filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME"
}

write_env() {
  local password
  password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
  (umask 077 && sed "s/^GRAFANA_ADMIN_PASSWORD=.*/GRAFANA_ADMIN_PASSWORD=$password/" .env.example >.env)
  if docker info --format '{{json .Runtimes}}' | grep -q '"nvidia"'; then
    sed -i 's/^COMPOSE_PROFILES=cpu,/COMPOSE_PROFILES=nvidia,/' .env
  fi
  if ! grep -E '^[0-9]+ [0-9]+ [^ ]+ / / ' /proc/self/mountinfo | grep -qE 'shared:|master:'; then
    echo 'ROOTFS_MOUNT=ro' >>.env
  fi
  echo "stack: wrote compose/.env; Grafana's user is admin, its password $password"
}

ports() { # every port that the profiles will use: "NUMBER NAME" a line
  local name default profiles
  profiles=,$(setting COMPOSE_PROFILES ""),
  while IFS='=' read -r name default; do
    [[ $(setting "${name%_PORT}_ENABLED" true) == true ]] || continue
    [[ $name != VMALERT_PORT || $profiles =~ ,(victoriametrics|nvidia), ]] || continue
    echo "$(setting "$name" "$default") $name"
  done < <(sed -nE 's/^#?([A-Z_]+_PORT=[0-9]+)$/\1/p' .env.example)
  [[ $profiles != *,upstream* ]] || printf '%s\n' "9101 node-exporter" "8081 cadvisor"
  [[ $profiles != *,upstream-nvidia,* ]] || echo "9401 dcgm-exporter"
}

refuse_taken_ports() {
  local number name taken=0
  while read -r number name; do
    (: <"/dev/tcp/127.0.0.1/$number") 2>/dev/null || continue
    taken=1
    echo "stack: port $number ($name) is taken; who has it: ss -ltnp 'sport = :$number'" >&2
    case $name in
      NODE_EXPORTER_PORT | CADVISOR_PORT | GPU_EXPORTER_PORT)
        echo "       if that is the real exporter and stays: ${name%_PORT}_ENABLED=false in compose/.env" >&2 ;;
    esac
  done < <(ports)
  ((taken == 0)) || fail "nothing was started: end that program, or move our port in compose/.env"
}

refuse_a_prometheus_that_would_find_nothing() { # its file cannot be told a port
  local name address file=prometheus/prometheus.yml
  [[ ,$(setting COMPOSE_PROFILES ""), == *,prometheus,* ]] || return 0
  for name in HEALTH_CHECK_PORT=9600 ALERTMANAGER_PORT=9093; do
    address=127.0.0.1:$(setting "${name%=*}" "${name#*=}")
    grep -qF "$address" "$file" || fail "nothing was started: ${name%=*} is moved, so write $address in compose/$file as well"
  done
}

refuse_two_stores() { # they would want one port
  local profiles
  profiles=,$(setting COMPOSE_PROFILES ""),
  [[ $profiles == *,prometheus,* ]] || return 0
  [[ ! $profiles =~ ,(victoriametrics|nvidia), ]] || fail "nothing was started: these profiles are two stores on one port,
       VictoriaMetrics (${BASH_REMATCH[1]}) and Prometheus; write COMPOSE_PROFILES=cpu,prometheus or gpu,prometheus in compose/.env"
}

remove_parts_of_other_profiles() { # they would keep the ports that the chosen ones want; what they keep is in volumes
  local id profiles
  profiles=$(setting COMPOSE_PROFILES "")
  for id in $(containers --all); do
    [[ $(docker inspect --format '{{index .Config.Labels "wattview.profiles"}}' "$id") == "$profiles" ]] \
      || docker rm --force "$id" >/dev/null
  done
}

wait_until_healthy() {
  local deadline=$((SECONDS + WAIT_SECONDS)) unwell name status health
  while :; do
    unwell=()
    while read -r name status health; do
      [[ $status == running && ($health == healthy || $health == none) ]] || unwell+=("$name")
    done < <(containers --all | xargs -r docker inspect --format \
      '{{slice .Name 1}} {{.State.Status}} {{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}}')
    ((${#unwell[@]})) || return 0
    ((SECONDS < deadline)) || break
    sleep 1
  done
  for name in "${unwell[@]}"; do
    echo "--- $name" >&2
    docker logs --tail 5 "$name" >&2 || true
  done
  fail "not healthy after $WAIT_SECONDS seconds: ${unwell[*]}; their last words stand above, more: make stack ARGS='logs NAME'"
}

command -v docker >/dev/null || fail "Docker is not installed; run: sudo apt-get install docker.io docker-compose"
said=$(docker version 2>&1 >/dev/null) || fail "no Docker engine answers you: $(tail -n 1 <<<"$said")
       run: sudo systemctl start docker; or add yourself to its group: sudo usermod -aG docker $(id -un), and log in again"
if docker compose version >/dev/null 2>&1; then
  compose=(docker compose)
elif command -v docker-compose >/dev/null; then
  compose=(docker-compose)
else
  fail "Docker has no Compose here; run: sudo apt-get install docker-compose, or docker-compose-plugin"
fi
[[ -e .env ]] || write_env
COMPOSE_PROJECT_NAME=$(setting COMPOSE_PROJECT_NAME wattview)
export COMPOSE_PROJECT_NAME

case ${1:-up} in
  up)
    refuse_two_stores
    refuse_a_prometheus_that_would_find_nothing
    [[ -n $(containers) ]] || refuse_taken_ports
    remove_parts_of_other_profiles
    "${compose[@]}" up --build --detach || fail "Compose did not start everything; its reason stands above.
       What runs: make stack ARGS=ps; end it: make stack ARGS=down.
       An image that cannot be pulled can be another's, or a mirror's: …_IMAGE in compose/.env"
    wait_until_healthy
    echo "stack: everything is healthy after $SECONDS seconds"
    echo "Grafana       http://127.0.0.1:$(setting GRAFANA_PORT 3000)     user $(setting GRAFANA_ADMIN_USER admin), password: GRAFANA_ADMIN_PASSWORD in compose/.env"
    echo "the store     http://127.0.0.1:$(setting STORE_PORT 8428)"
    echo "Alertmanager  http://127.0.0.1:$(setting ALERTMANAGER_PORT 9093)"
    echo "a stream      rtmp://127.0.0.1:$(setting RTMP_PORT 1935)/live/<name>"
    echo "a scenario    docker exec -it wattview wattview run"
    echo "the dashboard docker exec -it wattview wattview tui"
    ;;
  down)
    remove_parts_of_other_profiles
    "${compose[@]}" "$@"
    ;;
  logs | ps) "${compose[@]}" "$@" ;;
  *) sed -n 2,5p "$0" >&2; exit 2 ;;
esac
