#!/usr/bin/env bash
# The repository has a vault already; and one whose vault, key and notes would lie inside it.
. "$(dirname "$0")/lib.sh"
begin
keep vault "$VAULT"
refused git vault init
put /another/place "$TOP/disk"
skip "export XDG_CONFIG_HOME" "keys and notes are outside"
skip "4:git vault snapshot" "keys and notes are outside"
follow
unchanged vault "$VAULT"
restores "$VAULT" "$SNAP"

note "the home directory is the repository"
build_repository "$HOME/dotfiles" && mv "$HOME/dotfiles/.git" "$HOME/.git" && cd "$HOME"
refused git vault snapshot
gives GV-1002 "git vault list"
gives GV-1004 "git vault init --new"
gives GV-1004 "3:git vault snapshot" # its key would still be inside
follow
safe "every snapshot lies outside of what it protects, the old vault is as it was"
unset XDG_CONFIG_HOME XDG_STATE_HOME
[[ $(newest_vault) == "$TOP/disk/vaults/"* ]] || fail "the new vault should be on the disk"
XDG_CONFIG_HOME=$TOP/disk/config XDG_STATE_HOME=$TOP/disk/state git vault --vault "$(newest_vault)" verify --deep
finish
