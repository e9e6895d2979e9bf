# The tutorial's steps, by hand, with nothing but kind, kubectl and docker. It runs in a folder with
# the files kind.yaml, image.tar, authn-webhook-deploy.yml and webhook-config.yml, and prints for
# each phase its name and what it took, in microseconds. It removes the cluster when it ends,
# unless it is killed with SIGKILL.
set -euo pipefail
kind=$1 kubectl=$2 name=$3

node=$name-control-plane
manifest=/etc/kubernetes/manifests/kube-apiserver.yaml
config=/etc/kubernetes/pki/webhook-config.yml
export KIND_EXPERIMENTAL_PROVIDER=docker KIND_EXPERIMENTAL_DOCKER_NETWORK=$name
export KUBECONFIG=$PWD/kubeconfig

# A step that never comes true ends the script so.
deadline=$((SECONDS + 180))
within() {
  ((SECONDS < deadline)) && sleep 0.5
}

microseconds() {
  printf '%s' "${EPOCHREALTIME//[!0-9]/}"
}
began=$(microseconds)
phase() {
  local now
  now=$(microseconds)
  printf '%s %s\n' "$1" "$((now - began))"
  began=$now
}

trap '{ docker rm --force --volumes "$node"; docker network rm "$name"; } >/dev/null 2>&1 || :' EXIT

{
  docker network create --label tokenlab=kind "$name"
  "$kind" create cluster --name "$name" --config kind.yaml
} >&2
phase create

"$kind" load image-archive image.tar --name "$name" >&2
phase load

{
  "$kubectl" apply --filename authn-webhook-deploy.yml
  "$kubectl" --namespace kube-system rollout status deployment/my-authn --timeout 120s
} >&2
phase deploy

{
  docker cp webhook-config.yml "$node:$config"
  docker exec "$node" sed -i \
    "/^    - kube-apiserver\$/a\\    - --authentication-token-webhook-config-file=$config" "$manifest"
  docker exec "$node" sh -c 'crictl stop $(crictl ps --quiet --name kube-apiserver)'
  until "$kubectl" get --raw /readyz; do within; done
} >&2
phase wire

{
  "$kubectl" config set-credentials webhook-test --token=ZGVtbW8tcGFzc3dvcmQ=
  until [[ $("$kubectl" --user webhook-test get ns 2>&1) = *'(Forbidden)'*'User "mock"'* ]]; do
    within
  done
} >&2
phase forbidden
