#!/usr/bin/env bash
# Runs a command that sees no process, container or control group of this machine but those that it starts itself, and
# that all end with it. Needs root, and control groups of version 1, alone or beside version 2.
#   usage: scripts/alone.sh COMMAND …
set -euo pipefail
mapfile -t mounts < <(awk '$3 ~ /^cgroup2?$/ {print $2, $3, $4}' /proc/mounts)

case ${WATTVIEW_ALONE-} in
"") # outside: makes a control group in each hierarchy, and removes it in the end
  name=wattview-alone-$$
  groups=()
  for mount in "${mounts[@]}"; do groups+=("${mount%% *}/$name"); done
  trap 'find "${groups[@]}" -depth -type d -exec rmdir {} +' EXIT
  for group in "${groups[@]}"; do
    mkdir "$group"
    for file in cpuset.cpus cpuset.mems; do # a group takes no process while they are empty
      if [[ -e ${group%/*}/$file ]]; then cat "${group%/*}/$file" >"$group/$file"; fi
    done
  done
  WATTVIEW_ALONE=$name "$0" "$@"
  ;;
yes) # inside, as the init that collects orphans: sees the groups as the roots of their hierarchies
  for mount in "${mounts[@]}"; do
    read -r point type options <<<"$mount"
    umount "$point"
    mount -t "$type" -o "$options" cgroup "$point"
  done
  "$@"
  ;;
*) # enters the groups, then the namespaces
  for mount in "${mounts[@]}"; do echo $$ >"${mount%% *}/$WATTVIEW_ALONE/cgroup.procs"; done
  WATTVIEW_ALONE=yes exec unshare --pid --cgroup --mount-proc --fork --kill-child -- "$0" "$@"
  ;;
esac
