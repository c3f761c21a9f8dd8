#!/usr/bin/env bash
# A log entry of the vault cannot be read: something else is in its place.
. "$(dirname "$0")/lib.sh"
begin
ENTRY=$VAULT/log/00000002.toml
mv "$ENTRY" "$TOP/entry" && mkfifo -m 600 "$ENTRY"
keep vault "$VAULT"; keep source "$SOURCE"
refused git vault list
gives GV-3003 "4:git vault verify"
follow
safe "the vault and its copy are as they were; new work is in a new vault on another disk; what was there restores once it can be read"
evidence_kept; unchanged source "$SOURCE"
safe_in_new_vault
rm "$ENTRY" && mv "$TOP/entry" "$ENTRY"
restores "$VAULT" "$SNAP"
finish
