#!/usr/bin/env bash
# The directory above the destination is missing.
. "$(dirname "$0")/lib.sh"
begin
DIR=$TOP/work/new/restored
keep vault "$VAULT"; keep source "$SOURCE"
refused git vault restore "$SNAP" "$DIR"
follow
safe "the snapshot is restored to a place that exists; the one that was meant can be used now, too"
unchanged vault "$VAULT"; unchanged source "$SOURCE"
restored "$HOME/restored"
git vault restore "$SNAP" "$DIR" && restored "$DIR"
finish
