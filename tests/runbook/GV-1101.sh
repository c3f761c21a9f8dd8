#!/usr/bin/env bash
# No snapshot has that name.
. "$(dirname "$0")/lib.sh"
begin
keep vault "$VAULT"; keep source "$SOURCE"
refused git vault show zzzzzzzz
follow
safe "the snapshots are listed; nothing was touched"
unchanged vault "$VAULT"; unchanged source "$SOURCE"
restores "$VAULT" "$SNAP"
finish
