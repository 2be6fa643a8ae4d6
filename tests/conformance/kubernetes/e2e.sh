# Sourced, after node.sh, by suites that run Kubernetes' own tests: on the node, first without muslin and then with it.

kubernetes=$root/tests/conformance/kubernetes

# The node runs the release whose tests these are.
release=$(sed -n 's/^[[:space:]]*k8s.io\/kubernetes //p' "$kubernetes/suite/go.mod")
MUSLIN_KUBERNETES=${release#v}
export MUSLIN_KUBERNETES=${MUSLIN_KUBERNETES%.*}

# prepare_tests: pushes the images that the tests ask for, by the names that they have there.
prepare_tests() {
    programs=$("$kubernetes/build")
    export KUBE_TEST_REPO_LIST=$node_folder/repositories.yaml
    printf '%s: %s\n' promoterE2eRegistry "$registry/e2e" gcRegistry "$registry" >"$KUBE_TEST_REPO_LIST"
    local name image images
    images=$("$programs/e2e.test" --list-images 2>/dev/null)
    for name in agnhost jessie-dnsutils pause; do
        "$kubernetes/image" "$name" "$node_folder/$name.image" >&2
        # A release may use two versions of one.
        for image in $(grep -E "^$registry/(e2e/)?$name:" <<<"$images"); do
            push "$node_folder/$name.image" "${image#"$registry/"}"
        done
    done
    local server
    server=$(kubectl version -o json 2>/dev/null | jq -r .serverVersion.gitVersion)
    if [[ $server != "$release" ]]; then
        say "the node runs Kubernetes $server, and tests/conformance/kubernetes/suite/go.mod has the tests of $release."
        exit 3
    fi
}

# run_tests RUN FILE: runs the tests of the files that the expression matches, and writes RUN.results: a line for each test, with its
# state and its name. The number of tests at once suits two cores, which wait most of the time.
run_tests() {
    local run=$1 file=$2
    mkdir -p "$node_folder/$run"
    say "running the tests of $file: $run"
    # With no --skip of ours, Kubernetes leaves out each test of a feature that has to be turned on.
    inside "$programs/ginkgo" run --procs=4 --focus-file="$file" --skip='\[Flaky\]' --timeout=40m --no-color --silence-skips --json-report=report.json \
        --output-dir="$node_folder/$run" "$programs/e2e.test" -- --kubeconfig="$KUBECONFIG" --kubectl-path="$node_folder/bin/kubectl" \
        --provider=local --num-nodes=1 --disable-log-dump >"$node_folder/$run/log" 2>&1 || true
    if [[ ! -s $node_folder/$run/report.json ]]; then
        tail -n 40 "$node_folder/$run/log" >&2
        say "the tests did not run."
        exit 3
    fi
    # Tests that the files do not select are skipped without a message; the others name a reason.
    jq -r '.[].SpecReports[]
        | select(.LeafNodeType == "It" and (.State != "skipped" or .Failure.Message != null))
        | "\(.State)\t\(.ContainerHierarchyTexts + [.LeafNodeText] | join(" "))"' \
        "$node_folder/$run/report.json" | sort -t $'\t' -k 2 >"$node_folder/$run.results"
    if ! [[ -s $node_folder/$run.results ]]; then
        say "no test matches $file."
        exit 3
    fi
    grep -vE '^(passed|skipped)' "$node_folder/$run.results" >&2 || true
    # What a failed test says is in the log, which is kept where CONFORMANCE_LOGS says.
    [[ -z ${CONFORMANCE_LOGS-} ]] || { mkdir -p "$CONFORMANCE_LOGS" && cp -r "$node_folder/$run" "$node_folder/$run.results" "$CONFORMANCE_LOGS"; }
}

# count RUN STATE
count() { cut -f 1 "$node_folder/$1.results" | grep -cxE "$2" || true; }

# reviewed: the numbers of pods that muslin reviewed, and changed, since it started.
reviewed() {
    local metrics
    metrics=$(muslin_metrics)
    awk '/^muslin_reviews_total\{.*hook="mutate"/ { all += $NF; if (/outcome="changed"/) changed += $NF }
         END { printf "%d %d\n", all, changed }' <<<"$metrics"
}

# compare FILE RUN...: runs the tests without muslin and with it, and prints the result. A RUN is PROFILE or PROFILE:MODE; the mode is
# inject if none is named. Returns 1 if a test has another state with muslin than without, or fails in both, or if muslin saw no pods of
# the tests, or the profile's cache got no queries.
compare() {
    local file=$1 run reviews changed before queries caches= fault=
    shift
    run_tests without "$file"
    echo "Kubernetes $release: $(wc -l <"$node_folder/without.results") tests of \`test/e2e/$file\`. On the node muslin injects in every namespace, or has the named mode there."
    echo
    echo "| muslin | passed | failed | skipped | pods reviewed | pods changed | tests with another result than without |"
    echo "|---|---:|---:|---:|---:|---:|---:|"
    row without "" "" ""
    [[ $(count without 'passed|skipped') = $(wc -l <"$node_folder/without.results") ]] || fault=yes
    for run; do
        if [[ $run = *:* ]]; then
            install_muslin "${run%:*}" "${run#*:}"
        else
            install_muslin "$run"
        fi
        before=$(reviewed)
        [[ $run != node-local ]] || queries=$(cache_queries)
        run_tests "$run" "$file"
        read -r reviews changed < <(reviewed)
        reviews=$((reviews - ${before% *})) changed=$((changed - ${before#* }))
        row "$run" "$reviews" "$changed" "$(comm -3 <(sort "$node_folder/without.results") <(sort "$node_folder/$run.results") |
            sed 's/^\t//' | cut -f 2 | sort -u | wc -l)"
        cmp -s "$node_folder/without.results" "$node_folder/$run.results" || fault=yes
        ((reviews > 0)) || { say "muslin reviewed no pod."; fault=yes; }
        if [[ $run = node-local ]]; then
            queries=$(($(cache_queries) - queries))
            caches="- $run: the cache on the node got $queries queries"
            # muslin's own trials are some of them.
            ((queries > 100)) || { say "the pods did not ask the cache."; fault=yes; }
        fi
    done
    local notes
    notes=$(
        sed -n 's/^skipped\t\(.*\)/- skipped by Kubernetes here: \1/p' "$node_folder/without.results"
        for run in without "$@"; do
            sed -nE "/^(passed|skipped)/!s/^([a-z]*)\t(.*)/- $run: \1: \2/p" "$node_folder/$run.results"
        done
        [[ -z $caches ]] || echo "$caches"
    )
    [[ -z $notes ]] || printf '\n%s\n' "$notes"
    [[ -z $fault ]]
}

row() {
    local failed
    failed=$(($(wc -l <"$node_folder/$1.results") - $(count "$1" 'passed|skipped')))
    echo "| ${1/:/, mode } | $(count "$1" passed) | $failed | $(count "$1" skipped) | $2 | $3 | $4 |"
}
