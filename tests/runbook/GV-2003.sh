#!/usr/bin/env bash
# The repository has an extension that nobody knows here; and then, its HEAD is full of zeros.
. "$(dirname "$0")/lib.sh"
begin
keep vault "$VAULT"
cp .git/config "$TOP/config"
git config core.repositoryformatversion 1; git config extensions.frobnicate true
keep source "$SOURCE"
refused git vault snapshot
skip "4:" "nothing is wrong with HEAD"
follow
safe "the workspace is copied by other means; vault and source are as they were"
unchanged vault "$VAULT"; unchanged source "$SOURCE"; unchanged source "$TOP/disk/workspace-copy"
restores "$VAULT" "$SNAP"
cat "$TOP/config" >.git/config
head -c 41 /dev/zero >.git/HEAD
refused git vault snapshot
skip "1:" "format and settings are known"
skip "2:" "the workspace was copied before"
follow
safe "the damaged HEAD is kept, the right one is in place, a snapshot holds what is there"
[ "$(cat .git/HEAD)" = "ref: refs/heads/main" ] && [ "$(stat -c %s ~/HEAD.evidence)" = 41 ]
restores "$VAULT" "$SNAP"; restores "$VAULT" @latest "$SOURCE"
finish
