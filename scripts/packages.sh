#!/usr/bin/env bash
# Installs what is missing of Debian's or Ubuntu's packages. Nothing is started or enabled: WattView runs its own nginx.
#   usage: scripts/packages.sh run|test|bench
# `run` is what `make up` needs; `test` adds the real parts that the tests talk to, `bench` what is measured beside us. Without root (or sudo), it says
# which command would help and goes on: WattView works with what there is, and `wattview doctor` says what is missing.
set -euo pipefail

declare -A RUN=([python3-venv]=/usr/lib/python3*/ensurepip/__init__.py [ffmpeg]=ffmpeg
  [nginx-light]=nginx [libnginx-mod-rtmp]=/usr/lib/nginx/modules/ngx_rtmp_module.so)
declare -A TEST=([docker.io]=dockerd [busybox-static]=/bin/busybox [prometheus]=prometheus
  [victoria-metrics]=victoria-metrics [prometheus-alertmanager]=prometheus-alertmanager
  [docker-compose]=docker-compose [debootstrap]=debootstrap [e2fsprogs]=mkfs.ext4
  [qemu-system-x86]=qemu-system-x86_64 [qemu-utils]=qemu-img [openssh-client]=ssh [iproute2]=ip [systemd]=systemd-analyze [prometheus-node-exporter]=prometheus-node-exporter [tmux]=tmux [chromium]=chromium)

present() { # a program on the PATH, or a file (a pattern may match)
  case $1 in /*) compgen -G "$1" >/dev/null ;; *) command -v "$1" >/dev/null || [[ -x /usr/sbin/$1 ]] ;; esac
}

missing=()
for package in "${!RUN[@]}"; do present "${RUN[$package]}" || missing+=("$package"); done
if [[ ${1:-run} == test || ${1:-run} == bench ]]; then
  for package in "${!TEST[@]}"; do present "${TEST[$package]}" || missing+=("$package"); done
fi
if [[ ${1:-run} == bench ]]; then for peer in glances btop; do present "$peer" || missing+=("$peer"); done; fi
[[ ${#missing[@]} -eq 0 ]] && exit 0

install="apt-get install -y --no-install-recommends ${missing[*]}"
if ! command -v apt-get >/dev/null; then
  echo "not installed: ${missing[*]} (no apt-get here; install them with this system's own means)" >&2
  exit 0
elif [[ $(id -u) -eq 0 ]]; then
  root=()
elif command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [[ -t 0 ]]; }; then
  root=(sudo)
else
  echo "not installed: ${missing[*]}; as root, run: $install" >&2
  exit 0
fi

# Debian starts a service when its package is installed. Ours are only programs to us: a policy says no for the time
# of this installation, and a service that was not here before is not left enabled either.
policy=/usr/sbin/policy-rc.d
if [[ ! -e $policy ]]; then
  printf '#!/bin/sh\nexit 101\n' | "${root[@]}" tee "$policy" >/dev/null
  "${root[@]}" chmod 755 "$policy"
  trap '"${root[@]}" rm -f "$policy"' EXIT
fi
echo "installing: ${missing[*]}"
"${root[@]}" apt-get update -qq
# shellcheck disable=SC2086
"${root[@]}" env DEBIAN_FRONTEND=noninteractive $install >/dev/null
if [[ -d /run/systemd/system ]]; then
  for package in "${missing[@]}"; do
    unit=${package/nginx-light/nginx}
    case $unit in nginx | prometheus | prometheus-alertmanager | victoria-metrics | prometheus-node-exporter)
      "${root[@]}" systemctl disable --quiet "$unit" || true ;;
    esac
  done
fi
