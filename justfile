# List the recipes.
default:
    @just --list

# Everything that must hold before a change lands.
check:
    scripts/check

# Run the tests: all of them, or those of one store (memory, sqlite).
test *store:
    scripts/test {{ store }}

# Start a server with demo data, on a release build.
run *args='--demo':
    cargo run --locked --release -- serve {{ args }}

# Write the files that are generated from the code and checked in.
gen:
    scripts/gen

# Measure the decision engine.
bench *args:
    cargo bench --locked -p canopy-domain {{ args }}

# Measure the service over HTTP: evaluate, evaluate-postgres, many (all need wrk), write-then-check, bulk, bulk-postgres, writers, tenants, import, lists, index; `smoke` makes it short.
bench-http *args:
    cargo bench --locked -p canopy-e2e --bench http -- {{ args }}

# Measure bulk-create on SQLite below HTTP.
bench-sqlite *args:
    cargo bench --locked -p canopy-storage-sqlite --bench bulk_insert -- {{ args }}

# Measure bulk-create on PostgreSQL below HTTP.
bench-postgres *args:
    cargo bench --locked -p canopy-storage-postgres --bench bulk_insert -- {{ args }}

# Measure Canopy beside casbin, cedar-policy, embedded SpiceDB and Cerbos: sizes S, M, L; `smoke` makes it short.
bench-peers *args:
    scripts/bench-peers {{ args }}

# Ask a server whatever fits, and does not fit, the OpenAPI document: no undocumented status, no broken schema, no 5xx.
fuzz-api *args:
    scripts/fuzz-api {{ args }}

# Format everything.
fmt:
    cargo fmt --all
