#!/usr/bin/env bash
# The place where a hook would be installed belongs to somebody else.
. "$(dirname "$0")/lib.sh"
begin
git config core.fsmonitor true
cp .git/config "$TOP/config"
keep vault "$VAULT"
refused git vault hooks install --last-second
cmp .git/config "$TOP/config"
follow
cmp .git/config "$TOP/config"
safe "what others have set is as it was, the hooks came and went, every snapshot restores"
unchanged vault "$VAULT"
restores "$VAULT" "$SNAP"; restores "$VAULT" "$EARLIER" "$TOP/before"
finish
