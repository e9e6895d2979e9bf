# Imports the archive on the standard input into the node's containerd, as kind's own builder
# does (kind, pkg/build/nodeimage/imageimporter.go), and prints the names of what is there.
set -eu
log=/run/preload.log
containerd >"$log" 2>&1 </dev/null &
tries=0
until ctr version >/dev/null 2>&1; do
  tries=$((tries + 1))
  [ "$tries" -lt 300 ] || { echo 'containerd does not start:' >&2; tail -n 10 "$log" >&2; exit 1; }
  sleep 0.1
done
ctr --namespace k8s.io images import --all-platforms --no-unpack - >&2
ctr --namespace k8s.io images ls --quiet
kill "$!"
wait "$!" || :
rm -rf /run/containerd "$log"
