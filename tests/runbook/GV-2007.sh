#!/usr/bin/env bash
# The index of the repository is damaged.
. "$(dirname "$0")/lib.sh"
begin
keep vault "$VAULT"
head -c 60 .git/index >.git/index.cut && mv .git/index.cut .git/index
refused git vault snapshot
unchanged vault "$VAULT"
keep source "$SOURCE"
gives 128 "2:git status"
gives any "git fsck"
follow
safe "the index of the newest snapshot is in place, the damaged one is kept, the next snapshot is sealed"
unchanged source "$TOP/disk/workspace-copy"
cmp .git/index.evidence "$TOP/disk/workspace-copy/.git/index"
restores "$VAULT" "$SNAP"; restores "$VAULT" @latest "$SOURCE"
finish
