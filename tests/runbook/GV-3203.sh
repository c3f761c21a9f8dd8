#!/usr/bin/env bash
# Two copies of one vault have been written to.
. "$(dirname "$0")/lib.sh"
begin
OTHER=$TOP/work/other.vault; cp -a "$VAULT" "$OTHER"
echo "one way" >>notes.txt; seal THIRD; cp -a "$SOURCE" "$TOP/third"
cp -a "$HOME/.local" "$TOP/seen" && rm -rf "$HOME/.local/state"
for _ in 1 2; do echo "another way" >>notes.txt; git vault --quiet --vault "$OTHER" snapshot; done
rm -rf "$HOME/.local" && mv "$TOP/seen" "$HOME/.local"
mv "$VAULT" "$TOP/work/seen.vault" && mv "$OTHER" "$VAULT"
keep vault "$VAULT"; keep source "$SOURCE"
refused git vault list
put /path/to/the/other/one "$TOP/work/seen.vault"
gives any "vault.home" # it need not be set
skip "5:" "the other one was found"
skip "7:" "the other one goes on"
follow
evidence_kept; unchanged source "$SOURCE"
restored "$DIR"
restores "$TOP/work/seen.vault" "$THIRD" "$TOP/third"

note "the other one is lost for good"
rm -rf "$TOP/work/seen.vault" "$TOP/disk/vault-evidence" "$DIR"
refused git vault verify
gives any "vault.home"
skip "3:" "it is lost"
answer "git vault acknowledge" "$(ls "$VAULT/log" | wc -l)"
follow
safe "vault and copy are as they were until a person states what is lost; the one that was seen is used, or a new vault"
unchanged vault "$TOP/disk/vault-evidence"
restored "$DIR"
safe_in_new_vault
finish
