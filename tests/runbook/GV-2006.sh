#!/usr/bin/env bash
# An object of the repository is damaged.
. "$(dirname "$0")/lib.sh"
begin
head -c 3000 /dev/urandom >new.bin && git add new.bin && git commit --quiet -m new
ID=$(git rev-parse HEAD:new.bin)
damage ".git/objects/${ID:0:2}/${ID:2}"
keep source "$SOURCE"
refused git vault snapshot
put path/to/file new.bin
gives any "git fsck --full"
gives 1 "diff -rq"
skip "6:" "git found something"
follow
safe "the vault restores, what came since is brought over, and work goes on in the restored copy"
unchanged source "$SOURCE"; unchanged source "$TOP/disk/workspace-copy"
cmp new.bin "$DIR/new.bin"
cd "$DIR" && git vault init --new && git vault snapshot
restores "$(newest_vault)" @latest "$DIR"; restores "$VAULT" "$SNAP"
finish
