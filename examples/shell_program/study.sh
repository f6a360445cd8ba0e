#!/bin/sh
# Any program as an objective, from the shell alone: ./study.sh [STORE] [TRIALS]
# The command omits a part in brackets if the configuration lacks its parameter.
set -e
cd "$(dirname "$0")"
store=${1:-study.db} trials=${2:-60}
program='python train.py --lr {lr} --decay {decay} --steps {steps} [--momentum {momentum}] --seed {seed}'

refine run "$store" --space space.toml --command "$program" --metric val_loss --minimize -n "$trials" \
    --workers 2 --quiet
refine propose "$store" last
refine accept "$store" last --note "as proposed" -n 10
refine run "$store" last --command "$program" --workers 2 --quiet
refine winner "$store"
