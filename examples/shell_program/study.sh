#!/bin/sh
# Any program as an objective, from the shell alone: ./study.sh [STORE]
# refine.toml names program, goal, budget and space.
set -e
cd "$(dirname "$0")"
store=${1:-study.db}

refine run "$store" --quiet
refine propose "$store"
refine accept "$store" --note "as proposed"
refine run "$store" --quiet
refine winner "$store"
