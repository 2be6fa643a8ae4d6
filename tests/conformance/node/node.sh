# Sourced by suites that need pods: the node of tests/node, with muslin on it.
#
# MUSLIN_BINARY names a binary of muslin to take, in place of a release build of this checkout.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
# Kubernetes' tests want port 80 of the host.
registry=registry.example.com:5000
registry_address=192.0.2.10

say() { echo "$*" >&2; }

# start_node [ARGUMENT...]: starts the node, with more arguments for its API server. The node ends with this shell.
start_node() {
    install_packages
    coproc node { MUSLIN_NODE_API_SERVER="$*" MUSLIN_NODE_REGISTRY_PORT=${registry##*:} exec "$root/tests/node/node" 2>&3; } 3>&2
    node_script=$node_PID
    trap stop_node EXIT
    local line
    if ! read -r -u "${node[0]}" node_folder node_inside || ! read -r -u "${node[0]}" line || [[ $line != ready ]]; then
        say "the node did not start."
        exit 3
    fi
    export KUBECONFIG=$node_folder/admin.kubeconfig
    PATH=$node_folder/bin:$PATH
}

# The node ends with its standard input.
stop_node() {
    local status=$?
    if [[ -n ${node[1]-} ]]; then
        exec {node[1]}>&-
        wait "$node_script" || true
    fi
    return $status
}

install_packages() {
    local missing=() need
    for need in dig:bind9-dnsutils jq:jq skopeo:skopeo umoci:umoci musl-gcc:musl-tools; do
        command -v "${need%%:*}" >/dev/null || missing+=("${need##*:}")
    done
    ((${#missing[@]})) || return 0
    say "installing ${missing[*]}"
    apt-get update -qq >&2
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
}

# inside COMMAND...: runs in the node's network, as its administrator.
inside() { nsenter --target="$node_inside" --net -- env HOME="$node_folder/home" "$@"; }

kubectl() { inside "$node_folder/bin/kubectl" "$@"; }

# push LAYOUT NAME: pushes the image of an OCI layout to the node's registry.
push() {
    inside skopeo copy --quiet --insecure-policy --dest-tls-verify=false "oci:$1" "docker://$registry_address:${registry##*:}/$2" >&2
}

# The binary of muslin, which is built if none is named.
muslin_binary() {
    if [[ -z ${MUSLIN_BINARY-} ]]; then
        (cd "$root" && cargo build --locked --release >&2)
        MUSLIN_BINARY=$CARGO_TARGET_DIR/release/muslin
    fi
    [[ -x $MUSLIN_BINARY ]] || { say "there is no program $MUSLIN_BINARY (MUSLIN_BINARY)."; exit 3; }
}

# install_muslin PROFILE: deploys muslin, which then injects in every namespace but its own and kube-system.
install_muslin() {
    if [[ ! -e $node_folder/muslin.image ]]; then
        muslin_binary
        "$root/scripts/image" layout "$node_folder/muslin.image" "$MUSLIN_BINARY" >&2
        push "$node_folder/muslin.image" muslin:1
    fi
    "$MUSLIN_BINARY" install --image "$registry/muslin:1" --mode inject --inspect-images \
        --env MUSLIN_PLAIN_HTTP="$registry" --env MUSLIN_ALLOW_NETWORK="$registry_address/32" --env MUSLIN_PROFILE="$1" |
        kubectl apply -f - >&2
    kubectl rollout status deployment/muslin -n muslin --timeout=120s >&2
    local deadline=$((SECONDS + 60))
    until kubectl run probe --image=alpine:3.19 --dry-run=server -o yaml 2>/dev/null | grep -q muslin.dev/resolvers; do
        ((SECONDS < deadline)) || { say "the API server does not call muslin."; exit 3; }
        sleep 0.5
    done
}

# The metrics of muslin since it started.
muslin_metrics() {
    local pod
    # An earlier pod may still be stopping.
    pod=$(kubectl get pods -n muslin -o json | jq -r '.items[].metadata | select(.deletionTimestamp == null).name')
    kubectl get --raw "/api/v1/namespaces/muslin/pods/$pod:8080/proxy/metrics"
}
