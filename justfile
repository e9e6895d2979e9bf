# Everything that a developer does here. `just` alone lists it.

# Show the recipes
[private]
default:
    @just --list --unsorted

# The guided tour, on a real kube-apiserver; or any verb: `just lab demo`, `just lab up`
lab *ARGS:
    cargo lab {{ ARGS }}

# Every test, real control planes included
test *ARGS:
    cargo test {{ ARGS }}

# The scenarios of the class `slow`, which wait for minutes, side by side
test-slow:
    LAB_SLOW=1 cargo test --test scenarios -- --test-threads 64 $(cat .ci/skipped/slow)

# Tests by nextest, which writes target/nextest/ci/junit.xml: `just junit --test scenarios`
junit *ARGS:
    cargo nextest run --profile ci {{ ARGS }}

# The scenarios again and again, until one fails: `just flakes 20`
flakes TIMES="20" *ARGS:
    for _ in $(seq {{ TIMES }}); do cargo test --test scenarios -- {{ ARGS }} || exit 1; done

# Write SCENARIOS.md, and the lists of what is skipped, from the scenarios' comments
scenarios:
    LAB_WRITE=1 cargo test --test scenarios catalogue::

# Run the scenarios on a series of Kubernetes, and write down what passed: `just record 1.34`
record SERIES *FILTERS: && scenarios
    .ci/scenarios --record {{ SERIES }} {{ FILTERS }}

# The scenarios and the tests of clusters on kind; they need a Docker engine
test-kind *ARGS:
    LAB_BACKEND=kind cargo test --test scenarios --test kind {{ ARGS }}
    LAB_BACKEND=kind cargo test --test lab -- backend::
    LAB_BACKEND=kind cargo test --test image -- container::
    LAB_BACKEND=kind cargo test --test named -- cluster::
    LAB_BACKEND=kind cargo test --test terminal -- tour::script::on_a_cluster
    LAB_BACKEND=kind cargo test --test node_image

# The same on k3s; it needs an image of k3s (LAB_K3S_IMAGE)
test-k3s *ARGS:
    LAB_BACKEND=k3s cargo test --test scenarios --test k3s {{ ARGS }}
    LAB_BACKEND=k3s cargo test --test lab -- backend::
    LAB_BACKEND=k3s cargo test --test image -- container::
    LAB_BACKEND=k3s cargo test --test named -- cluster::
    LAB_BACKEND=k3s cargo test --test terminal -- tour::script::on_a_cluster

# Look at snapshots that changed, one by one
review:
    cargo insta test --workspace --review

# Format, clippy with warnings denied, documentation, dependencies
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- --deny warnings
    RUSTDOCFLAGS="--deny warnings" cargo doc --workspace --no-deps --quiet
    cargo deny --log-level warn check

# Both packages as others get them, and the example that uses them, outside of this repository
example *ARGS:
    .ci/example {{ ARGS }}

# Start and stop against envtest, the whole lab, a review through the apiserver
bench *ARGS:
    cargo bench --package tokenlab-harness --bench startup -- {{ ARGS }}

# The webhook's server against Go's; it needs h2load and oha
bench-webhook *ARGS:
    cargo bench --package tokenlab-webhook --bench versus-go -- {{ ARGS }}

# kind clusters, phase by phase, beside the tutorial's steps by hand
bench-clusters *ARGS:
    cargo bench --package tokenlab-harness --bench clusters -- {{ ARGS }}

# Make a Docker engine answer where none does; `just docker-engine stop` ends it
docker-engine *ARGS:
    .ci/docker-engine {{ ARGS }}

# What CI runs
ci:
    .ci/run
