#!/usr/bin/env bash
# The vault that is named belongs to another repository.
. "$(dirname "$0")/lib.sh"
begin
build_repository "$TOP/work/other"
cd "$TOP/work/other"
keep vault "$VAULT"; keep source "$SOURCE"
refused git vault --vault "$VAULT" snapshot
gives GV-1003 "2:git vault --vault VAULT snapshot" # it is still another's
follow
safe "the other repository has a vault of its own, the vault is as it was, and it can be read from anywhere"
unchanged vault "$VAULT"; unchanged source "$SOURCE"
restored "$DIR"
[ "$(newest_vault)" != "$VAULT" ]
restores "$(newest_vault)" @latest "$TOP/work/other"
finish
