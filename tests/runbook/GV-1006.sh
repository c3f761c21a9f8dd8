#!/usr/bin/env bash
# What was typed does not agree with what is there.
. "$(dirname "$0")/lib.sh"
begin
KEY=$(basename "$(key_file)" .key)
refused git vault key compromise "$KEY" --since 1
put FILE "$HOME/passphrase"
gives 3 "git vault key status"; gives 3 "git vault status" # no second copy of the key yet
gives GV-1006 "git vault acknowledge" # there is nothing to acknowledge
(umask 077 && echo "correct horse battery staple" >"$HOME/passphrase")
follow
safe "nothing was stated that is not so; every snapshot restores"
restores "$VAULT" "$SNAP"; restores "$VAULT" "$EARLIER" "$TOP/before"
finish
