#!/bin/sh
# Prints deploy/env.example with a random value for every secret: sh deploy/secrets.sh > .env
# The file is as readable as the shell's umask says, so: umask 077.
set -eu
random() { head -c 32 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=\n'; }
while IFS= read -r line; do
    case $line in
        MNEME_KEYS=) printf '%s%s:default\n' "$line" "$(random)" ;;
        [A-Z]*=) printf '%s%s\n' "$line" "$(random)" ;;
        *) printf '%s\n' "$line" ;;
    esac
done <"$(dirname "$0")/env.example"
