#!/usr/bin/env bash
# The destination lies in the workspace, in the vault, or around them.
. "$(dirname "$0")/lib.sh"
begin
keep vault "$VAULT"; keep source "$SOURCE"
refused git vault restore "$SNAP" inside
refused git vault restore "$SNAP" "$VAULT/inside"
follow
safe "source and vault are untouched, and the snapshot is restored outside"
unchanged vault "$VAULT"; unchanged source "$SOURCE"
restored "$HOME/restored"
finish
