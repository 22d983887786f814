#!/usr/bin/env bash
# What can be said without running the suite: formatting, lints, and what is built in (licences,
# advisories, duplicate versions; policy in ci/supply-chain.toml).
source "$(dirname "$0")/lib.sh"

need_cargo
step "formatting" cargo fmt --all --check
for package in golden conformance/fuzz; do
    if [[ -f $package/Cargo.toml ]]; then
        step "formatting of $package" cargo fmt --manifest-path "$package/Cargo.toml" --check
    fi
done
step "lints" cargo clippy --locked --workspace --all-targets -- -D warnings
REQUIRE=cargo step "licences, advisories, duplicates, tidiness" \
    cargo test --locked --test suite -- tidy::
