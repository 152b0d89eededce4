# What users get: archives, a Python wheel, the functions' zips, a container image. `just` lists the recipes, CONTRIBUTING.md
# says more. Every file has the version in its name and its SHA-256 beside it. Needs just (`pip install rust-just`).

set shell := ["bash", "-euo", "pipefail", "-c"]

version := `sed -n '/^\[workspace.package\]/,/^$/s/^version = "\(.*\)"$/\1/p' Cargo.toml`
host := `rustc -vV | sed -n 's/^host: //p'`
target := env("CARGO_TARGET_DIR", "target")
made := target / "artefacts"
name := "sluice-" + version + "-" + host

[private]
default:
    @just --list --unsorted

# The binary with completions and man pages, for this machine's system.
archive: binary
    rm -rf {{made}}/{{name}} && mkdir -p {{made}}/{{name}}/completions
    cp {{target}}/dist/sluice LICENSE README.md CHANGELOG.md {{made}}/{{name}}/
    {{target}}/dist/sluice man {{made}}/{{name}}/man
    for shell in bash zsh fish; do {{target}}/dist/sluice completions $shell >{{made}}/{{name}}/completions/sluice.$shell; done
    tar --create --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$(git log -1 --format=%ct)" \
        --directory={{made}} {{name}} | gzip -9n >{{made}}/{{name}}.tar.gz
    rm -r {{made}}/{{name}}
    @just sum {{name}}.tar.gz

# The wheel that carries the binary (`pipx install FILE`, `uv tool install FILE`). Needs maturin (`pip install maturin`).
wheel:
    maturin build --locked --profile dist --manifest-path cli/Cargo.toml --out {{made}}
    @just sum "$(basename {{made}}/sluice_lakehouse-{{version}}-*.whl)"

# The functions' zips, where Terraform looks for them. Needs cargo-lambda (`pip install cargo-lambda`).
zips arch="arm64":
    cargo lambda build --locked --profile dist-splitter --{{arch}} --output-format zip --package splitter
    cargo lambda build --locked --profile dist --{{arch}} --output-format zip --package worker
    mkdir -p {{made}}
    for function in splitter worker; do \
        cp {{target}}/lambda/$function/bootstrap.zip {{made}}/sluice-$function-{{version}}-{{arch}}.zip; \
        just sum sluice-$function-{{version}}-{{arch}}.zip; \
    done

# The container image, from scratch. Needs docker or podman.
image builder="docker":
    {{builder}} build --file cli/container/Dockerfile --tag sluice:{{version}} .

# Tries the deployed shape on this machine, without AWS (docs/laptop.md).
demo:
    cargo build --workspace
    examples/laptop/run

# Uses each artefact that was made, from a clean folder.
check:
    cli/container/check {{made}}

[private]
binary:
    cargo build --locked --profile dist --package sluice

[private]
sum file:
    cd {{made}} && sha256sum {{file}} | tee {{file}}.sha256
