# Sourced by suites that need pods: the node of tests/node, with muslin on it.
#
# MUSLIN_BINARY names a binary of muslin to take, in place of a release build of this checkout.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
# Kubernetes' tests want port 80 of the host.
registry=registry.example.com:5000
registry_address=192.0.2.10
# The cache of the built-in profile node-local.
cache_address=169.254.20.10

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
        (cd "$root" && "${CARGO:-cargo}" build --locked --release >&2)
        MUSLIN_BINARY=$CARGO_TARGET_DIR/release/muslin
    fi
    [[ -x $MUSLIN_BINARY ]] || { say "there is no program $MUSLIN_BINARY (MUSLIN_BINARY)."; exit 3; }
}

# start_cache: starts a DNS cache on the node, with what NodeLocal DNSCache caches and how it asks the cluster's DNS
# (cluster/addons/dns/nodelocaldns/nodelocaldns.yaml of kubernetes). It ends with the node.
start_cache() {
    local zone times
    for zone in cluster.local in-addr.arpa .; do
        times='30'
        [[ $zone != cluster.local ]] || times=$'{\n success 9984 30\n denial 9984 5\n }'
        printf '%s {\n errors\n cache %s\n bind %s\n forward . 10.96.0.10 {\n force_tcp\n }\n prometheus 127.0.0.1:9253\n}\n' \
            "$zone" "$times" "$cache_address"
    done >"$node_folder/cache"
    inside ip address add "$cache_address/32" dev lo
    nsenter --target="$node_inside" --net --pid -- "$node_folder/bin/coredns" -conf "$node_folder/cache" \
        </dev/null >"$node_folder/logs/cache" 2>&1 &
    # The shell says nothing when the end of the node kills it.
    disown
    local deadline=$((SECONDS + 60))
    until inside dig +time=1 +tries=1 +short "@$cache_address" kubernetes.default.svc.cluster.local | grep -q .; do
        ((SECONDS < deadline)) || { say "the cache on the node does not answer:"; tail -n 5 "$node_folder/logs/cache" >&2; exit 3; }
        sleep 0.5
    done
}

# The number of queries that the cache on the node got.
cache_queries() {
    inside curl --silent --fail http://127.0.0.1:9253/metrics | awk '/^coredns_dns_requests_total/ { all += $NF } END { print all + 0 }'
}

# await_cache: waits until each replica of muslin has seen the cache on the node answer; until then it gives pods the cluster's nameserver.
await_cache() {
    local deadline=$((SECONDS + 60)) answers
    until answers=$(muslin_metrics | grep '^muslin_node_local_reachable{') && ! grep -qv ' 1$' <<<"$answers"; do
        ((SECONDS < deadline)) || { say "muslin does not see the cache on the node answer: $answers"; exit 3; }
        sleep 0.5
    done
}

# install_muslin PROFILE [MODE]: deploys muslin, which then has this mode (inject) in every namespace but its own and kube-system.
install_muslin() {
    if [[ ! -e $node_folder/muslin.image ]]; then
        muslin_binary
        "$root/scripts/image" layout "$node_folder/muslin.image" "$MUSLIN_BINARY" >&2
        push "$node_folder/muslin.image" muslin:1
    fi
    "$MUSLIN_BINARY" install --image "$registry/muslin:1" --mode "${2-inject}" --inspect-images \
        --env MUSLIN_PLAIN_HTTP="$registry" --env MUSLIN_ALLOW_NETWORK="$registry_address/32" --env MUSLIN_PROFILE="$1" |
        kubectl apply -f - >&2
    kubectl rollout status deployment/muslin -n muslin --timeout=120s >&2
    local deadline=$((SECONDS + 60))
    until kubectl run probe --image=alpine:3.19 --dry-run=server -o yaml 2>/dev/null | grep -q muslin.dev/resolvers; do
        ((SECONDS < deadline)) || { say "the API server does not call muslin."; exit 3; }
        sleep 0.5
    done
    [[ $1 != node-local ]] || await_cache
}

# The metrics of each replica of muslin since its start, one after the other.
muslin_metrics() {
    local pods pod
    # Earlier pods may still be stopping.
    pods=$(kubectl get pods -n muslin -o json | jq -r '.items[].metadata | select(.deletionTimestamp == null).name')
    for pod in $pods; do
        kubectl get --raw "/api/v1/namespaces/muslin/pods/$pod:8080/proxy/metrics"
    done
}
